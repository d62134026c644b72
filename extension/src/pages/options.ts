// The options page: the server and the sign-in (in a window of that server, or by a pairing code), where numbers become
// clickable, and a few habits. Permissions are asked for on the user's own click, for that one server or for what was chosen.
import type { Ended, Me } from '../api/types.ts';
import { endedSentence, languages, localeOf, problemSentence } from '../language.ts';
import { ask } from '../messages.ts';
import { serverOrigin, serverPermission, siteHost, sitePatterns } from '../server-address.ts';
import { changeSettings, modes, readEnded, readFixed, readRefresh, readSettings, readSignInFailure, readSigningIn } from '../storage.ts';
import type { Mode } from '../storage.ts';
import { byId, speak } from './dom.ts';

const { t, tongue } = await speak();
const pairing = byId('pairing', HTMLElement);
const server = byId('server', HTMLInputElement);
const code = byId('code', HTMLInputElement);
const signInButton = byId('sign-in', HTMLButtonElement);
const connect = byId('connect', HTMLButtonElement);
const account = byId('account', HTMLElement);
const accountSaid = byId('account-said', HTMLElement);
const choices = byId('choices', HTMLFormElement);
const sites = byId('sites', HTMLTextAreaElement);
const sitesRow = byId('sites-row', HTMLElement);
const excluded = byId('excluded', HTMLTextAreaElement);
const leaveTel = byId('leave-tel', HTMLInputElement);
const showNumbers = byId('show-numbers', HTMLInputElement);
const language = byId('language', HTMLSelectElement);
const choicesSaid = byId('choices-said', HTMLElement);

function say(where: HTMLElement, sentence: string, bad: boolean): void {
  where.textContent = sentence;
  where.classList.toggle('bad', bad);
}

function chosenMode(): Mode {
  const value = choices.querySelector<HTMLInputElement>('input[name="mode"]:checked')?.value;
  return modes.find((mode) => mode === value) ?? 'click';
}

function drawMode(): void {
  sitesRow.hidden = chosenMode() !== 'chosen';
}

async function fill(): Promise<void> {
  const settings = await readSettings();
  const fixed = await readFixed();
  server.value = settings.server;
  server.readOnly = fixed.server !== undefined;
  sites.value = settings.sites.join('\n');
  sites.readOnly = fixed.sites !== undefined;
  excluded.value = settings.excluded.join('\n');
  excluded.readOnly = fixed.excluded !== undefined;
  leaveTel.checked = settings.leaveTel;
  leaveTel.disabled = fixed.leaveTel !== undefined;
  showNumbers.checked = settings.showNumbers;
  language.value = settings.language;
  for (const input of choices.querySelectorAll<HTMLInputElement>('input[name="mode"]')) {
    input.checked = input.value === settings.mode;
    input.disabled = fixed.mode !== undefined;
  }
  byId('managed', HTMLElement).hidden = Object.keys(fixed).length === 0;
  drawMode();
}

let busy = false; // a click is being dealt with, and says itself what became of it

async function drawAccount(me: Me | null): Promise<void> {
  const [ended, refresh] = [await readEnded(), await readRefresh()];
  account.hidden = me === null;
  pairing.hidden = me !== null;
  drawEnded(refresh === null ? ended : null);
  if (me === null) return;
  byId('account-who', HTMLElement).textContent = t('connected', me.user.name || me.user.email);
  byId('account-tenant', HTMLElement).textContent = me.tenant?.name ?? '';
  byId('account-server', HTMLElement).textContent = refresh === null ? '' : new URL(refresh.server).host;
  const support = me.signIn?.supportCode ?? null;
  byId('support', HTMLElement).hidden = support === null;
  byId('support-code', HTMLElement).textContent = support ?? '';
}

/** The server that was typed, when it may be reached. The permission is asked for first, while the click still counts as one. */
async function typedServer(): Promise<string | null> {
  const origin = serverOrigin(server.value);
  if (origin === null) {
    server.setAttribute('aria-invalid', 'true');
    server.focus();
    say(accountSaid, problemSentence(t, 'server-address', null), true);
    return null;
  }
  server.removeAttribute('aria-invalid');
  if (await chrome.permissions.request({ origins: [serverPermission(origin)] })) return origin;
  say(accountSaid, t('permissionRefused'), true);
  return null;
}

async function whileBusy(work: () => Promise<void>): Promise<void> {
  busy = true;
  signInButton.disabled = connect.disabled = true;
  try {
    await work();
  } finally {
    signInButton.disabled = connect.disabled = false;
    busy = false;
  }
}

async function pair(): Promise<void> {
  const origin = await typedServer();
  if (origin === null) return;
  say(accountSaid, t('connecting'), false);
  await whileBusy(() => pairWith(origin));
}

async function pairWith(origin: string): Promise<void> {
  const reply = await ask<'pair'>({ type: 'pair', server: origin, code: code.value });
  if (!reply.ok) {
    code.focus();
    return say(accountSaid, reply.failure.sentence, true);
  }
  code.value = '';
  server.value = origin;
  await drawAccount(reply.value);
  say(accountSaid, '', false);
}

/** Opens the server's window, or brings it to the front. What becomes of it is heard from storage. */
async function signIn(): Promise<void> {
  const origin = await typedServer();
  if (origin === null) return;
  say(accountSaid, t('connecting'), false);
  await whileBusy(() => signInAt(origin));
}

async function signInAt(origin: string): Promise<void> {
  const reply = await twice(() => ask<'signIn'>({ type: 'signIn', server: origin }));
  if (!reply.ok) return say(accountSaid, reply.failure.sentence, true);
  await drawSignIn();
}

/** Signed in, signing in, or out: as storage says now. */
async function drawSignIn(): Promise<void> {
  if ((await readRefresh()) !== null) return drawMe();
  const [signingIn, failure] = [await readSigningIn(), await readSignInFailure()];
  await drawAccount(null);
  if (failure !== null) say(accountSaid, problemSentence(t, failure.code, null), true);
  else say(accountSaid, signingIn === null ? '' : t('signInWaiting'), false);
}

async function drawMe(): Promise<void> {
  const reply = await twice(() => ask<'me'>({ type: 'me' }));
  await drawAccount(reply.ok ? reply.value : null);
  say(accountSaid, reply.ok ? '' : reply.failure.sentence, !reply.ok);
}

/** Once more when the worker was stopped before it answered: the next one goes on from what is stored. */
function twice<T>(asking: () => Promise<T>): Promise<T> {
  return asking().catch(asking);
}

function drawEnded(ended: Ended | null): void {
  const box = byId('ended', HTMLElement);
  box.hidden = ended === null;
  if (ended === null) return;
  const { title, reason } = endedSentence(t, localeOf(tongue, navigator.language), ended);
  byId('ended-title', HTMLElement).textContent = title;
  byId('ended-reason', HTMLElement).textContent = reason ?? '';
  byId('ended-reason', HTMLElement).hidden = reason === null;
}

function hostsOf(area: HTMLTextAreaElement): { hosts: string[]; bad: string | null } {
  const lines = area.value.split(/[\n,;]+/).map((line) => line.trim()).filter((line) => line !== '');
  const bad = lines.find((line) => siteHost(line) === null) ?? null;
  return { hosts: [...new Set(lines.map(siteHost).filter((host) => host !== null))], bad };
}

async function save(): Promise<void> {
  const mode = chosenMode();
  const chosen = hostsOf(sites);
  const never = hostsOf(excluded);
  const bad = (mode === 'chosen' ? chosen.bad : null) ?? never.bad;
  if (bad !== null) return say(choicesSaid, t('badSite', bad), true);
  if (mode === 'chosen' && chosen.hosts.length === 0) return say(choicesSaid, t('needSites'), true);
  const origins = mode === 'everywhere' ? ['http://*/*', 'https://*/*'] : mode === 'chosen' ? sitePatterns(chosen.hosts) : [];
  if (origins.length > 0 && !(await chrome.permissions.request({ origins }))) return say(choicesSaid, t('permissionRefused'), true);

  const before = (await readSettings()).language;
  const wanted = languages.find((one) => one === language.value) ?? 'auto';
  await changeSettings({
    mode, sites: chosen.hosts, excluded: never.hosts, leaveTel: leaveTel.checked, showNumbers: showNumbers.checked, language: wanted,
  });
  const reply = await ask<'settings.changed'>({ type: 'settings.changed' });
  if (!reply.ok) return say(choicesSaid, reply.failure.sentence, true);
  if (wanted !== before) return location.reload();
  say(choicesSaid, t('saved'), false);
}

async function signOut(): Promise<void> {
  await whileBusy(async () => {
    await twice(() => ask<'signOut'>({ type: 'signOut' }));
    await drawAccount(null);
    say(accountSaid, t('signedOut'), false);
  });
  signInButton.focus();
}

byId('sign-in-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  if (event.isTrusted) void signIn();
});
byId('pairing-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  if (event.isTrusted) void pair();
});
choices.addEventListener('submit', (event) => {
  event.preventDefault();
  if (event.isTrusted) void save();
});
choices.addEventListener('change', drawMode);
byId('sign-out', HTMLButtonElement).addEventListener('click', (event) => {
  if (event.isTrusted) void signOut();
});

let drawn: Promise<void> = Promise.resolve();

/** Signed in or out elsewhere: in the server's window, by support, in another tab of this page. */
chrome.storage.onChanged.addListener((changes) => {
  const { refresh } = changes;
  const turned = refresh !== undefined && (refresh.oldValue === undefined) !== (refresh.newValue === undefined);
  if (!busy && (turned || 'signingIn' in changes || 'signInFailed' in changes || 'ended' in changes)) drawn = drawn.then(drawSignIn, drawSignIn);
});

await fill();
await drawSignIn();
document.documentElement.classList.add('filled');
