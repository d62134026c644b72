// The sign-in in a window of its own: authorization code with PKCE, to the configured server and nobody else. The worker
// may be stopped between any two lines, so each step is written down before it is taken, and resume() goes on from what is
// written and from where the window is now. A code is sent once: a second use ends the sign-in that the first one gave.
import { exchange, refusal, Refused } from '../api/client.ts';
import { authorizeUrl, challengeOf, metadataPath, parseIssuer, randomWord, readDone, redirectUri } from '../api/oauth.ts';
import { serverOrigin, serverPermission } from '../server-address.ts';
import { readRefresh, readSigningIn, writeSigningIn } from '../storage.ts';
import type { SigningIn } from '../storage.ts';
import { deviceName, isSignedIn, redeem, startAfresh } from './session.ts';
import { uiTongue } from './tongue.ts';

export const signInAlarm = 'sign-in';
const lifeMs = 15 * 60_000;
const openingMs = 60_000; // later than this, a window that nobody saw open would come as a surprise
const mostRounds = 3;

/** One step at a time, in this life of the worker and the next. */
async function alone<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks.request('sign-in-window', work);
}

/**
 * Called at the worker's top level, so that a tab's event that started the worker is heard; resume() stops listening when
 * no sign-in is under way, or each page that loads would start the worker.
 */
export function listen(): void {
  chrome.tabs.onUpdated.addListener(onTab);
  chrome.tabs.onRemoved.addListener(onTab);
}

function stopListening(): void {
  chrome.tabs.onUpdated.removeListener(onTab);
  chrome.tabs.onRemoved.removeListener(onTab);
}

function onTab(tabId: number): void {
  void alone(async () => {
    if ((await readSigningIn())?.tabId === tabId) await goOn();
  });
}

/** At every start of the worker, and by an alarm while a sign-in is under way. */
export async function resume(): Promise<void> {
  await alone(goOn);
}

/** Opens the window, or brings the one that is open to the front. */
export async function begin(typed: string): Promise<void> {
  const server = serverOrigin(typed);
  if (server === null) throw refusal('server-address');
  if (!(await chrome.permissions.contains({ origins: [serverPermission(server)] }))) throw refusal('no-permission');
  await alone(async () => {
    await goOn();
    if (await isSignedIn()) return;
    const old = await readSigningIn();
    if (old?.server === server) return bringToFront(old);
    if (old !== null) await end(old);
    await checkIssuer(server);
    const fresh: SigningIn = {
      server, state: randomWord(), verifier: randomWord(), spent: [], phase: 'opening', tabId: null, startedAt: Date.now(),
    };
    await chrome.alarms.create(signInAlarm, { periodInMinutes: 0.5 });
    await writeSigningIn(fresh);
    await openWindow(fresh);
  });
}

/** Given up from our side: signed out, or signed in by a pairing code. */
export async function drop(): Promise<void> {
  await alone(async () => {
    const now = await readSigningIn();
    if (now !== null) await end(now);
    else await writeSigningIn(null); // why an earlier one failed is old news, too
  });
}

/** Goes on from what is written down. Called within alone(). */
async function goOn(): Promise<void> {
  const now = await readSigningIn();
  if (now === null) return rest();
  listen();
  const have = await readRefresh();
  if (have !== null) return now.phase === 'exchanging' && have.server === now.server ? finish(now) : end(now);
  if (Date.now() - now.startedAt > lifeMs) return fail(now, 'sign-in-late');
  switch (now.phase) {
    case 'opening':
      return goOnOpening(now);
    case 'open':
      return look(now);
    case 'exchanging':
      return again(now); // the worker died with the code under way
    default:
      now.phase satisfies never;
  }
}

async function rest(): Promise<void> {
  stopListening();
  await chrome.alarms.clear(signInAlarm);
}

async function goOnOpening(now: SigningIn): Promise<void> {
  const tabs = await chrome.tabs.query({ url: serverPermission(now.server) });
  const ours = tabs.find(({ url, pendingUrl }) => [url, pendingUrl].some((one) => one?.includes(`state=${now.state}`) === true));
  if (ours?.id !== undefined) return opened(now, ours.id);
  if (Date.now() - now.startedAt < openingMs) return openWindow(now);
  await end(now);
}

async function openWindow(now: SigningIn): Promise<void> {
  listen();
  let tabId: number | undefined;
  try {
    const made = await chrome.windows.create({ url: await urlOf(now), type: 'popup', width: 480, height: 720, focused: true });
    tabId = made?.tabs?.[0]?.id;
  } catch {
    tabId = undefined; // a browser that is about to close opens no window
  }
  if (tabId === undefined) return fail(now, 'extension');
  await opened(now, tabId);
}

async function opened(now: SigningIn, tabId: number): Promise<void> {
  const open: SigningIn = { ...now, phase: 'open', tabId };
  await writeSigningIn(open);
  await look(open); // its events so far were nobody's
}

async function urlOf(now: SigningIn): Promise<string> {
  return authorizeUrl(now.server, {
    state: now.state, challenge: await challengeOf(now.verifier), deviceName: deviceName(), language: await uiTongue(),
  });
}

async function tabOf(now: SigningIn): Promise<chrome.tabs.Tab | null> {
  return now.tabId === null ? null : chrome.tabs.get(now.tabId).catch(() => null);
}

/** What the window's address says. The permission for the server's site is what lets us see it. */
async function look(now: SigningIn): Promise<void> {
  const tab = await tabOf(now);
  if (tab === null) return end(now); // closed by the person, who knows
  const done = readDone(tab.url, now);
  switch (done.is) {
    case 'elsewhere':
      return;
    case 'spent':
      return tab.pendingUrl === undefined ? goTo(now) : undefined; // the worker died before it sent the window on
    case 'refused':
      return fail(now, done.why);
    case 'code':
      return exchangeCode(now, done.code);
    default:
      done satisfies never;
  }
}

async function exchangeCode(now: SigningIn, code: string): Promise<void> {
  const sent: SigningIn = { ...now, phase: 'exchanging' };
  await writeSigningIn(sent);
  try {
    await redeem(now.server, { grant_type: 'authorization_code', code, redirect_uri: redirectUri(now.server), code_verifier: now.verifier });
  } catch (error) {
    if (!(error instanceof Refused) || error.status === 0 || error.status >= 500) return again(sent);
    // Used up or expired. Used up by this very request, perhaps: a browser sends by itself again what a connection lost.
    return error.problem.error === 'invalid_grant' ? again(sent, 'sign-in-refused') : fail(sent, 'sign-in-refused');
  }
  await finish(sent);
}

/** The code is void, or may be: a fresh round in the same window, where the person is still signed in. */
async function again(now: SigningIn, failure = 'server-unreachable'): Promise<void> {
  if (now.spent.length + 1 >= mostRounds) return fail(now, failure);
  const next: SigningIn = { ...now, phase: 'open', state: randomWord(), verifier: randomWord(), spent: [...now.spent, now.state] };
  await writeSigningIn(next);
  await goTo(next);
}

async function goTo(now: SigningIn): Promise<void> {
  const tab = await tabOf(now);
  if (tab?.id === undefined) return end(now);
  await chrome.tabs.update(tab.id, { url: await urlOf(now) }).catch(() => end(now)); // closed in between
}

async function finish(now: SigningIn): Promise<void> {
  await startAfresh(now.server);
  await end(now);
}

async function fail(now: SigningIn, code: string): Promise<void> {
  await end(now, code);
}

/** The window goes first: what is not written off yet is done again by the next life of the worker. */
async function end(now: SigningIn, failure: string | null = null): Promise<void> {
  if (now.tabId !== null) await chrome.tabs.remove(now.tabId).catch(() => undefined); // closed already
  await writeSigningIn(null, failure === null ? null : { code: failure, at: Date.now() });
  await rest();
}

async function bringToFront(now: SigningIn): Promise<void> {
  const tab = await tabOf(now);
  if (tab !== null) await chrome.windows.update(tab.windowId, { focused: true });
}

/** RFC 8414 3.3: a server that calls itself otherwise would send the answer elsewhere. */
async function checkIssuer(server: string): Promise<void> {
  const issuer = await exchange(server, { method: 'GET', path: metadataPath, language: await uiTongue() }).then(parseIssuer, (error: unknown) => {
    throw error instanceof Refused && error.status === 404 ? refusal('sign-in-not-offered', 404) : error;
  });
  if (issuer === server) return;
  if (!/^https?:\/\/\S+$/.test(issuer)) throw refusal('bad-answer');
  throw refusal('issuer-other', 200, issuer.slice(0, 200));
}
