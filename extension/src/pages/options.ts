// The options page: the server and the pairing code, where numbers become clickable, and a few habits. Permissions are
// asked for on the user's own click, for that one server or for what was chosen.
import type { Me } from '../api/types.ts';
import { languages, problemSentence } from '../language.ts';
import { ask } from '../messages.ts';
import { serverOrigin, serverPermission, siteHost, sitePatterns } from '../server-address.ts';
import { changeSettings, modes, readFixed, readRefresh, readSettings } from '../storage.ts';
import type { Mode } from '../storage.ts';
import { byId, speak } from './dom.ts';

const { t } = await speak();
const pairing = byId('pairing', HTMLFormElement);
const server = byId('server', HTMLInputElement);
const code = byId('code', HTMLInputElement);
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

function drawAccount(me: Me | null): void {
  account.hidden = me === null;
  pairing.hidden = me !== null;
  if (me === null) return;
  byId('account-who', HTMLElement).textContent = t('connected', me.user.name || me.user.email);
  byId('account-tenant', HTMLElement).textContent = me.tenant?.name ?? '';
  byId('account-server', HTMLElement).textContent = new URL(server.value).host;
  const support = me.signIn?.supportCode ?? null;
  byId('support', HTMLElement).hidden = support === null;
  byId('support-code', HTMLElement).textContent = support ?? '';
}

/** The permission is asked for first, while the click still counts as one. */
async function pair(): Promise<void> {
  const origin = serverOrigin(server.value);
  if (origin === null) {
    server.setAttribute('aria-invalid', 'true');
    server.focus();
    return say(accountSaid, problemSentence(t, 'server-address', null), true);
  }
  server.removeAttribute('aria-invalid');
  if (!(await chrome.permissions.request({ origins: [serverPermission(origin)] }))) return say(accountSaid, t('permissionRefused'), true);
  connect.disabled = true;
  say(accountSaid, t('connecting'), false);
  const reply = await ask<'pair'>({ type: 'pair', server: origin, code: code.value });
  connect.disabled = false;
  if (!reply.ok) {
    code.focus();
    return say(accountSaid, reply.failure.sentence, true);
  }
  code.value = '';
  server.value = origin;
  drawAccount(reply.value);
  say(accountSaid, t('connected', reply.value.user.name || reply.value.user.email), false);
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
  await ask<'signOut'>({ type: 'signOut' });
  drawAccount(null);
  say(accountSaid, t('signedOut'), false);
  code.focus();
}

pairing.addEventListener('submit', (event) => {
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

await fill();
if ((await readRefresh()) === null) {
  drawAccount(null);
} else {
  const reply = await ask<'me'>({ type: 'me' });
  drawAccount(reply.ok ? reply.value : null);
  if (!reply.ok) say(accountSaid, reply.failure.sentence, true);
}
document.documentElement.classList.add('filled');
