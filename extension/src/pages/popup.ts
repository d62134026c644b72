// The popup (and the same page as a tab or a small window): what rings, what is up, what was, what is on the page. It
// talks to the worker only. The history is in this page's memory and nowhere else.
import type { Call, Me } from '../api/types.ts';
import { ask, newGesture } from '../messages.ts';
import type { DialOutcome, FoundNumber, Reply, Snapshot } from '../messages.ts';
import { endedSentence, localeOf } from '../language.ts';
import { serverOrigin, serverPermission } from '../server-address.ts';
import { changeSettings, readSettings } from '../storage.ts';
import { isLiveCall, liveCard, pendingCard, tickClocks } from './call-card.ts';
import { button, byId, make, show, speak } from './dom.ts';
import { foundRow, historyRow } from './rows.ts';

const { t, tongue } = await speak();
document.documentElement.classList.toggle('tab', (await chrome.tabs.getCurrent()) !== undefined);
const banner = byId('banner', HTMLElement);
const said = byId('said', HTMLElement);
const live = byId('live', HTMLElement);
const form = byId('dial', HTMLFormElement);
const field = byId('number', HTMLInputElement);
const verdict = byId('verdict', HTMLElement);
const dialButton = byId('call', HTMLButtonElement);
const devices = byId('device', HTMLSelectElement);
const deviceRow = byId('device-row', HTMLElement);
const deviceNote = byId('device-note', HTMLElement);
const historyList = byId('history', HTMLElement);
const historyNote = byId('history-note', HTMLElement);
const more = byId('more', HTMLButtonElement);
const pageSection = byId('page-section', HTMLElement);
const pageList = byId('page-numbers', HTMLElement);
const work = byId('work', HTMLElement);

let me: Me | null = null;
let snapshot: Snapshot = { calls: [], pending: null, link: 'closed', signedIn: false, signingIn: false, failed: null, ended: null };
let history: Call[] = [];
let next: string | null = null;
let trouble: { code: string; sentence: string } | null = null;
let heard = false;
const toldEnded = new Set<string>(); // calls for whose end the history was loaded

byId('settings', HTMLElement).addEventListener('click', () => void chrome.runtime.openOptionsPage());
more.addEventListener('click', () => void loadHistory(next));
form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (event.isTrusted) void dial(field.value.trim(), null);
});

function say(sentence: string, bad: boolean): void {
  said.textContent = sentence;
  said.classList.toggle('bad', bad);
  said.hidden = sentence === '';
}

async function dial(number: string, name: string | null): Promise<void> {
  if (number === '') return field.focus();
  say('', false);
  dialButton.disabled = true;
  tell(await ask<'dial'>({ type: 'dial', number, name, gesture: newGesture() }));
  dialButton.disabled = false;
}

/** A started call is told by its own card; only what went otherwise is said here. */
function tell(reply: Reply<DialOutcome>): void {
  if (!reply.ok) {
    if (reply.failure.code === 'pbx-unavailable' || reply.failure.code === 'server-unreachable') trouble = reply.failure;
    else say(reply.failure.sentence, true);
  } else {
    trouble = null;
    if (reply.value.started) {
      field.value = '';
      verdict.textContent = '';
    }
  }
  drawBanner();
}

const cardActions = {
  hangUp: async (id: string): Promise<void> => {
    const reply = await ask<'hangUp'>({ type: 'hangUp', id });
    if (!reply.ok) say(reply.failure.sentence, true);
  },
  confirm: async (): Promise<void> => tell(await ask<'confirm'>({ type: 'confirm', gesture: newGesture() })),
  drop: async (): Promise<void> => void (await ask<'confirm.drop'>({ type: 'confirm.drop' })),
};

function drawLive(): void {
  snapshot.calls = snapshot.calls.filter(notExpired);
  const key = JSON.stringify([snapshot.pending, snapshot.calls]);
  show(live, key, () => [
    ...(snapshot.pending === null ? [] : [pendingCard(snapshot.pending, t, cardActions)]),
    ...snapshot.calls.map((call) => liveCard(call, t, cardActions)),
  ]);
  const ended = snapshot.calls.filter((call) => !isLiveCall(call) && !toldEnded.has(call.id)); // some end before we see them live
  for (const call of ended) toldEnded.add(call.id);
  if (ended.length > 0) void loadHistory(null);
  tickClocks(live);
}

function drawBanner(): void {
  const reachable = trouble?.code !== 'server-unreachable' && snapshot.link !== 'down';
  work.hidden = heard && !snapshot.signedIn;
  if (heard && !snapshot.signedIn) return drawSignedOut();
  if (!reachable) {
    return show(banner, 'server', () => [bannerOf('bad', t('unreachableTitle'), t('problemServerUnreachable'), button(t('tryAgain'), 'quiet', () => void load()))]);
  }
  if (trouble !== null) {
    const { code, sentence } = trouble;
    const title = code === 'pbx-unavailable' ? t('pbxDownTitle') : sentence;
    return show(banner, code, () => [bannerOf('bad', title, title === sentence ? '' : sentence, button(t('tryAgain'), 'quiet', () => void load()))]);
  }
  show(banner, '', () => []);
}

function drawSignedOut(): void {
  const { ended, failed, signingIn } = snapshot;
  const { title, reason } = ended === null ? { title: t('signInTitle'), reason: null } : endedSentence(t, localeOf(tongue, navigator.language), ended);
  const lines = [reason, signingIn ? t('signInWaiting') : failed ?? t('signInText')].filter((line) => line !== null);
  show(banner, JSON.stringify(['out', title, lines]), () => {
    const box = bannerOf('info', title, lines[0] ?? '', button(t('signIn'), 'primary', () => void signIn()));
    box.querySelector('p')?.after(...lines.slice(1).map((text) => make('p', { text })));
    return [box];
  });
}

/** At the server that is known, if it may be reached; else where its address is asked for. */
async function signIn(): Promise<void> {
  const server = serverOrigin((await readSettings()).server);
  if (server === null || !(await chrome.permissions.contains({ origins: [serverPermission(server)] }))) return chrome.runtime.openOptionsPage();
  const reply = await ask<'signIn'>({ type: 'signIn', server });
  if (reply.ok) return;
  snapshot.failed = reply.failure.sentence;
  drawBanner();
}

function bannerOf(kind: string, title: string, text: string, action: HTMLElement): HTMLElement {
  return make('div', { class: `banner ${kind}` }, make('strong', { text: title }), ...(text === '' ? [] : [make('p', { text })]), action);
}

async function drawDevices(): Promise<void> {
  const chosen = (await readSettings()).deviceId;
  const list = me?.devices ?? [];
  deviceRow.hidden = list.length === 0;
  deviceNote.hidden = me === null || list.length > 0;
  deviceNote.textContent = t('deviceNone');
  devices.disabled = list.length < 2;
  devices.replaceChildren(...list.map((device) => {
    const state = { offline: t('stateOffline'), idle: t('stateIdle'), inUse: t('stateInUse'), ringing: t('stateRinging'), unknown: t('stateUnknown') }[device.state];
    const option = make('option', { text: `${device.label} (${state})` });
    option.value = device.id;
    option.selected = chosen === null ? device.default : device.id === chosen;
    return option;
  }));
  const now = list.find((device) => device.id === devices.value);
  byId('device-dot', HTMLElement).dataset['state'] = now?.state ?? 'unknown';
  if (chosen !== null && me !== null && !list.some((device) => device.id === chosen)) await changeSettings({ deviceId: null });
}

devices.addEventListener('change', () => {
  const isDefault = me?.devices.find((device) => device.id === devices.value)?.default === true;
  void changeSettings({ deviceId: isDefault ? null : devices.value }).then(drawDevices);
});

let checkTimer: ReturnType<typeof setTimeout> | undefined;
let asked = 0;
field.addEventListener('input', () => {
  clearTimeout(checkTimer);
  say('', false);
  const number = field.value.trim();
  const mine = (asked += 1);
  if (number.replace(/\D/g, '').length < 2) {
    verdict.textContent = '';
    return;
  }
  verdict.className = 'verdict';
  verdict.textContent = t('checking');
  checkTimer = setTimeout(() => void checkNumber(number, mine), 300);
});

async function checkNumber(number: string, mine: number): Promise<void> {
  const reply = await ask<'check'>({ type: 'check', number });
  if (mine !== asked) return; // typed on meanwhile
  const value = reply.ok ? reply.value : null;
  const kind = value?.verdict ?? 'denied';
  verdict.className = `verdict ${kind}`;
  if (!reply.ok) verdict.textContent = reply.failure.sentence;
  else if (kind === 'allowed') verdict.textContent = t('verdictAllowed', reply.value.display);
  else verdict.textContent = reply.value.sentence ?? (kind === 'confirm' ? t('verdictConfirm', reply.value.display) : t('problemForbidden'));
}

async function loadHistory(cursor: string | null): Promise<void> {
  const reply = await ask<'history'>({ type: 'history', cursor });
  if (!reply.ok) {
    if (history.length === 0) historyNote.textContent = reply.failure.sentence;
    return;
  }
  history = cursor === null ? reply.value.items : [...history, ...reply.value.items];
  next = reply.value.next;
  drawHistory();
}

function drawHistory(): void {
  history = history.filter(notExpired);
  const ended = history.filter((call) => !isLiveCall(call));
  show(historyList, JSON.stringify(ended.map((call) => [call.id, call.status, call.name])), () => ended.map((call) => historyRow(call, t, tongue, (number, name) => void dial(number, name))));
  const days = String(me?.historyDays ?? 90);
  historyNote.textContent = ended.length === 0 ? t('historyEmpty', days) : t('historyKept', days);
  more.hidden = next === null;
}

function notExpired(call: Call): boolean {
  return call.expiresAt === null || Date.parse(call.expiresAt) > Date.now();
}

async function loadPage(): Promise<void> {
  const reply = await ask<'tab.numbers'>({ type: 'tab.numbers' });
  const found: FoundNumber[] = reply.ok ? reply.value : [];
  pageSection.hidden = found.length === 0;
  byId('page-count', HTMLElement).textContent = String(found.length);
  show(pageList, JSON.stringify(found), () => found.map((one) => foundRow(one, t, (number, name) => void dial(number, name))));
}

async function load(): Promise<void> {
  const reply = await ask<'me'>({ type: 'me' });
  trouble = null;
  if (reply.ok) me = reply.value;
  else if (reply.failure.code !== 'not-signed-in' && reply.failure.code !== 'unauthorized') trouble = reply.failure;
  drawBanner();
  await drawDevices();
  if (reply.ok) await loadHistory(null);
}

function connect(): void {
  const port = chrome.runtime.connect({ name: 'popup' });
  port.onMessage.addListener((message: Snapshot) => {
    const signedInNow = message.signedIn && !snapshot.signedIn && heard;
    snapshot = message;
    heard = true;
    if (snapshot.link === 'open' && trouble?.code === 'server-unreachable') void load();
    drawBanner();
    drawLive();
    if (signedInNow) void load();
  });
  port.onDisconnect.addListener(() => setTimeout(connect, 500)); // the worker was stopped: this wakes it
}

connect();
await load();
void loadPage();
setInterval(() => tickClocks(live), 1000);
setInterval(() => {
  drawHistory();
  drawLive();
}, 5000);
setInterval(() => void ask<'me'>({ type: 'me' }).then((reply) => {
  if (!reply.ok) return;
  me = reply.value;
  if (document.activeElement !== devices) void drawDevices();
}), 15_000);
