// All that is stored, and where. On disk (storage.local, for our own pages only): settings and the refresh token. In
// memory (storage.session): the access token, a sign-in under way, calls under way, a question that waits for its second
// gesture. Never a number or a name on disk.
import { count, countOrNull, isFields, oneOf, text, textOrNull, texts } from './api/check.ts';
import type { Fields } from './api/check.ts';
import { parseCall } from './api/parse.ts';
import type { Call, Ended } from './api/types.ts';
import { languages } from './language.ts';
import type { Language } from './language.ts';

export const modes = ['click', 'chosen', 'everywhere'] as const;
export type Mode = (typeof modes)[number];

export interface Settings {
  server: string; // an origin, or '' when not set
  mode: Mode;
  sites: string[]; // host names, used when mode is 'chosen'
  excluded: string[];
  leaveTel: boolean;
  showNumbers: boolean;
  deviceId: string | null; // null: the server's default
  language: Language;
}

/** Settings that an organisation may fix by policy; the rest is the user's own. */
export type Fixed = Partial<Pick<Settings, 'server' | 'mode' | 'sites' | 'excluded' | 'leaveTel'>>;

const defaults: Settings = {
  server: '', mode: 'click', sites: [], excluded: [], leaveTel: false, showNumbers: false, deviceId: null, language: 'auto',
};

function parseSettings(value: unknown): Partial<Settings> {
  const out: Partial<Settings> = {};
  if (!isFields(value)) return out;
  const mode = modes.find((word) => word === value['mode']);
  const language = languages.find((word) => word === value['language']);
  if (typeof value['server'] === 'string') out.server = value['server'];
  if (mode !== undefined) out.mode = mode;
  if (Array.isArray(value['sites'])) out.sites = texts(value, 'sites');
  if (Array.isArray(value['excluded'])) out.excluded = texts(value, 'excluded');
  if (typeof value['leaveTel'] === 'boolean') out.leaveTel = value['leaveTel'];
  if (typeof value['showNumbers'] === 'boolean') out.showNumbers = value['showNumbers'];
  if (typeof value['deviceId'] === 'string') out.deviceId = value['deviceId'];
  if (language !== undefined) out.language = language;
  return out;
}

/** Content scripts must not reach what is on disk; both areas are then for our own pages and worker only. */
export async function closeToPages(): Promise<void> {
  await chrome.storage.local.setAccessLevel({ accessLevel: 'TRUSTED_CONTEXTS' });
  await chrome.storage.session.setAccessLevel({ accessLevel: 'TRUSTED_CONTEXTS' });
}

export async function readFixed(): Promise<Fixed> {
  const managed = await chrome.storage.managed.get().catch(() => ({})); // rejects where no policy store exists
  const { server, mode, sites, excluded, leaveTel } = parseSettings(managed);
  return {
    ...(server !== undefined && { server }),
    ...(mode !== undefined && { mode }),
    ...(sites !== undefined && { sites }),
    ...(excluded !== undefined && { excluded }),
    ...(leaveTel !== undefined && { leaveTel }),
  };
}

export async function readSettings(): Promise<Settings> {
  const stored = await chrome.storage.local.get('settings');
  return { ...defaults, ...parseSettings(stored['settings']), ...(await readFixed()) };
}

export async function changeSettings(change: Partial<Settings>): Promise<void> {
  await navigator.locks.request('settings', async () => {
    const stored = await chrome.storage.local.get('settings');
    await chrome.storage.local.set({ settings: { ...defaults, ...parseSettings(stored['settings']), ...change } });
  });
}

export interface RefreshToken {
  server: string; // the token goes to no other
  token: string;
}

export async function readRefresh(): Promise<RefreshToken | null> {
  const { refresh } = await chrome.storage.local.get('refresh');
  return isFields(refresh) ? { server: text(refresh, 'server'), token: text(refresh, 'token') } : null;
}

export async function writeRefresh(refresh: RefreshToken | null): Promise<void> {
  if (refresh === null) await chrome.storage.local.remove('refresh');
  else await chrome.storage.local.set({ refresh });
}

export interface AccessToken {
  token: string;
  expiresAt: number; // ms since 1970
}

export async function readAccess(): Promise<AccessToken | null> {
  const { access } = await chrome.storage.session.get('access');
  return isFields(access) ? { token: text(access, 'token'), expiresAt: count(access, 'expiresAt') } : null;
}

export async function writeAccess(access: AccessToken | null): Promise<void> {
  if (access === null) await chrome.storage.session.remove('access');
  else await chrome.storage.session.set({ access });
}

/** How the last sign-in ended, when somebody ended it. */
export async function readEnded(): Promise<Ended | null> {
  const { ended } = await chrome.storage.local.get('ended');
  const { endedReason } = await chrome.storage.session.get('endedReason');
  return isFields(ended) ? { by: text(ended, 'by'), at: text(ended, 'at'), reason: typeof endedReason === 'string' ? endedReason : null } : null;
}

/** By whom and when may survive a restart of the browser; the reason may hold a name, and stays in memory. */
export async function writeEnded(ended: Ended | null): Promise<void> {
  if (ended === null || ended.reason === null) await chrome.storage.session.remove('endedReason');
  else await chrome.storage.session.set({ endedReason: ended.reason });
  if (ended === null) await chrome.storage.local.remove('ended');
  else await chrome.storage.local.set({ ended: { by: ended.by, at: ended.at } });
}

const phases = ['opening', 'open', 'exchanging'] as const;

/** A sign-in under way in its own window. What an eye on the disk may not see: only ever in storage.session. */
export interface SigningIn {
  server: string;
  state: string;
  verifier: string;
  spent: string[]; // states of earlier rounds in the same window: their answers are void
  phase: (typeof phases)[number]; // exchanging: the code may have been sent, and is never sent again
  tabId: number | null; // null while opening
  startedAt: number; // ms since 1970
}

export async function readSigningIn(): Promise<SigningIn | null> {
  const { signingIn } = await chrome.storage.session.get('signingIn');
  if (!isFields(signingIn)) return null;
  return {
    server: text(signingIn, 'server'),
    state: text(signingIn, 'state'),
    verifier: text(signingIn, 'verifier'),
    spent: texts(signingIn, 'spent'),
    phase: oneOf(signingIn, 'phase', phases),
    tabId: countOrNull(signingIn, 'tabId'),
    startedAt: count(signingIn, 'startedAt'),
  };
}

/** In one step with why it failed: the pages hear of both at once. */
export async function writeSigningIn(signingIn: SigningIn | null, failed: SignInFailure | null = null): Promise<void> {
  await chrome.storage.session.set({ signingIn, signInFailed: failed });
}

/** Why the last attempt came to nothing. */
export interface SignInFailure {
  code: string;
  at: number; // ms since 1970
}

const failureShownMs = 10 * 60_000;

export async function readSignInFailure(): Promise<SignInFailure | null> {
  const { signInFailed } = await chrome.storage.session.get('signInFailed');
  if (!isFields(signInFailed)) return null;
  const failure = { code: text(signInFailed, 'code'), at: count(signInFailed, 'at') };
  return Date.now() - failure.at < failureShownMs ? failure : null;
}

/** A call that was asked for and waits for its second gesture in our own surface. */
export interface Pending {
  number: string;
  display: string;
  name: string | null;
  deviceId: string | null;
  sentence: string;
  token: string | null;
  at: number; // ms since 1970
}

/** What the worker must find again when it was stopped in the middle of a call. */
export interface Board {
  calls: Call[];
  ours: string[]; // ids of calls started by this extension
  lastEvent: string;
  pending: Pending | null;
}

function parsePending(value: unknown): Pending | null {
  if (!isFields(value)) return null;
  return {
    number: text(value, 'number'),
    display: text(value, 'display'),
    name: textOrNull(value, 'name'),
    deviceId: textOrNull(value, 'deviceId'),
    sentence: text(value, 'sentence'),
    token: textOrNull(value, 'token'),
    at: count(value, 'at'),
  };
}

export async function readBoard(): Promise<Board> {
  const { board } = await chrome.storage.session.get('board');
  if (!isFields(board)) return { calls: [], ours: [], lastEvent: '', pending: null };
  const from: Fields = board;
  return {
    calls: Array.isArray(from['calls']) ? from['calls'].map(parseCall) : [],
    ours: texts(from, 'ours'),
    lastEvent: text(from, 'lastEvent'),
    pending: parsePending(from['pending']),
  };
}

export async function writeBoard(board: Board): Promise<void> {
  await chrome.storage.session.set({ board });
}

export async function readRegion(): Promise<string | null> {
  const { region } = await chrome.storage.session.get('region');
  return typeof region === 'string' ? region : null;
}

export async function writeRegion(region: string): Promise<void> {
  await chrome.storage.session.set({ region });
}
