// The card of a call under way: what happens now in one sentence, each leg, the clock, hang up. And the card that asks for
// the second gesture.
import type { Call } from '../api/types.ts';
import { reasonSentence } from '../language.ts';
import type { TextKey, Translate } from '../language.ts';
import type { Pending } from '../storage.ts';
import { button, make } from './dom.ts';

export interface CardActions {
  hangUp: (id: string) => Promise<void>;
  confirm: () => Promise<void>;
  drop: () => Promise<void>;
}

export function isLiveCall(call: Pick<Call, 'status'>): boolean {
  return call.status !== 'disconnected' && call.status !== 'failed';
}

type Leg = 'Waiting' | 'Ringing' | 'Up' | 'Down';

function legs(call: Call): [Leg, Leg] {
  switch (call.status) {
    case 'initiating':
      return ['Waiting', 'Waiting'];
    case 'callingCaller':
      return ['Ringing', 'Waiting'];
    case 'callingCallee':
      return ['Up', 'Ringing'];
    case 'connected':
      return ['Up', 'Up'];
    case 'disconnected':
    case 'failed':
      return ['Down', 'Down'];
    default:
      return call.status satisfies never;
  }
}

function headline(call: Call, t: Translate): string {
  switch (call.status) {
    case 'initiating':
      return t('statusInitiating');
    case 'callingCaller':
      return t('pickUp');
    case 'callingCallee':
      return t('statusCallingCallee');
    case 'connected':
      return t('statusConnected');
    case 'disconnected':
      return call.diagnosis?.sentence || (reasonSentence(t, call.reason) ?? t('statusEnded'));
    case 'failed':
      return call.diagnosis?.sentence || t('statusFailed');
    default:
      return call.status satisfies never;
  }
}

const legTexts: Record<Leg, TextKey> = { Waiting: 'legWaiting', Ringing: 'legRinging', Up: 'legUp', Down: 'legDown' };

function legRow(name: string, leg: Leg, t: Translate): HTMLElement {
  return make('li', { class: `leg ${leg.toLowerCase()}` }, make('span', { class: 'who', text: name }), make('span', { class: 'how', text: t(legTexts[leg]) }));
}

export function liveCard(call: Call, t: Translate, actions: CardActions): HTMLElement {
  const [own, other] = legs(call);
  const up = isLiveCall(call);
  const who = call.name ?? call.display;
  const clock = make('span', { class: 'clock', hidden: call.connectedAt === null });
  clock.setAttribute('role', 'timer');
  clock.setAttribute('aria-live', 'off');
  clock.dataset['from'] = call.connectedAt ?? '';
  clock.dataset['to'] = call.endedAt ?? '';
  const card = make('article', { class: `card ${up ? call.status : 'over'}`, label: t('liveTitle') },
    make('div', { class: 'card-head' }, make('strong', { class: 'headline', text: headline(call, t) }), clock),
    make('p', { class: 'party', text: call.name === null ? who : `${who} · ${call.display}` }));
  if (up) {
    card.append(make('ul', { class: 'legs' }, legRow(call.device?.label || t('legOwn'), own, t), legRow(who === '' ? t('legOther') : who, other, t)));
    const end = button(t('hangUp'), 'danger', () => {
      end.disabled = true;
      void actions.hangUp(call.id).then(() => { end.disabled = false; });
    });
    end.hidden = !call.can.hangUp;
    card.append(end);
  }
  card.dataset['call'] = call.id;
  card.dataset['status'] = call.status;
  return card;
}

export function pendingCard(pending: Pending, t: Translate, actions: CardActions): HTMLElement {
  const who = pending.name === null ? pending.display : `${pending.name} · ${pending.display}`;
  return make('article', { class: 'card ask' },
    make('strong', { class: 'headline', text: t('confirmTitle') }),
    make('p', { class: 'party', text: who }),
    make('p', { text: pending.sentence }),
    make('div', { class: 'actions' },
      button(t('confirmCall'), 'primary', () => void actions.confirm()),
      button(t('cancel'), 'quiet', () => void actions.drop())));
}

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const tail = `${String(Math.floor(whole / 60) % 60).padStart(2, '0')}:${String(whole % 60).padStart(2, '0')}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${tail}` : tail;
}

export function tickClocks(inside: HTMLElement): void {
  for (const clock of inside.querySelectorAll<HTMLElement>('.clock')) {
    const { from = '', to = '' } = clock.dataset;
    if (from === '') continue;
    clock.textContent = duration(((to === '' ? Date.now() : Date.parse(to)) - Date.parse(from)) / 1000);
  }
}
