// The rows of the popup's lists: a past call, and a number of the page in front. Each is dialled by one button.
import type { Call } from '../api/types.ts';
import { reasonSentence } from '../language.ts';
import type { Translate } from '../language.ts';
import type { FoundNumber } from '../messages.ts';
import { duration } from './call-card.ts';
import { button, make } from './dom.ts';

type Dial = (number: string, name: string | null) => void;

export function historyRow(call: Call, t: Translate, tongue: string, dial: Dial): HTMLElement {
  const secret = call.number === '';
  const who = secret ? t('historyHidden') : (call.name ?? call.display);
  const answered = call.connectedAt !== null;
  const how = answered
    ? duration(call.durationSeconds ?? (Date.parse(call.endedAt ?? call.connectedAt ?? '') - Date.parse(call.connectedAt ?? '')) / 1000)
    : call.diagnosis?.sentence || (reasonSentence(t, call.reason) ?? t('statusFailed'));
  const detail = [...(call.name === null || secret ? [] : [call.display]), when(call.createdAt, tongue), how].join(' · ');
  const row = make('li', { class: `row ${answered ? 'answered' : 'missed'}` },
    make('div', { class: 'row-text' }, make('span', { class: 'row-who', text: who }), make('span', { class: 'row-detail', text: detail })));
  if (!secret) row.append(button(t('call'), 'quiet small', () => dial(call.number, call.name), t('callAgain', who)));
  return row;
}

export function foundRow(found: FoundNumber, t: Translate, dial: Dial): HTMLElement {
  const text = make('div', { class: 'row-text' }, make('span', { class: 'row-who', text: found.name ?? found.display }));
  if (found.name !== null) text.append(make('span', { class: 'row-detail', text: found.display }));
  return make('li', { class: 'row' }, text, button(t('call'), 'quiet small', () => dial(found.number, found.name), t('pageCall', found.name ?? found.display)));
}

function when(at: string, tongue: string): string {
  const date = new Date(at);
  const today = new Date().toDateString() === date.toDateString();
  return today
    ? date.toLocaleTimeString(tongue, { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleString(tongue, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
}
