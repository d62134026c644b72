// The tokens of the sign-in: how they are had, kept, renewed and forgotten. Only one renewal at a time, over all our
// contexts: a refresh token used twice ends the sign-in.
import { exchange, persist, refusal, Refused } from '../api/client.ts';
import type { Exchange } from '../api/client.ts';
import { client } from '../api/oauth.ts';
import { parseTokens } from '../api/parse.ts';
import type { Ended, TokenAnswer } from '../api/types.ts';
import { serverOrigin, serverPermission } from '../server-address.ts';
import { changeSettings, readAccess, readRefresh, writeAccess, writeEnded, writeRefresh } from '../storage.ts';
import type { AccessToken } from '../storage.ts';
import { uiTongue } from './tongue.ts';

const renewBeforeMs = 30_000;
const renewAgainMs = 3_000;

let signIns = 0; // made in this life of the worker

/** Everything that reads a token in order to change it goes through here, in whatever context it runs. */
async function alone<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks.request('sign-in', work);
}

export async function isSignedIn(): Promise<boolean> {
  return (await readRefresh()) !== null;
}

async function tokenRequest(server: string, form: Record<string, string>): Promise<TokenAnswer> {
  const language = await uiTongue();
  return parseTokens(await exchange(server, { method: 'POST', path: '/oauth/token', form: new URLSearchParams({ ...form, client_id: client }), language }));
}

async function keep(server: string, answer: TokenAnswer): Promise<AccessToken> {
  const access = { token: answer.accessToken, expiresAt: Date.now() + answer.expiresInSeconds * 1000 };
  await writeRefresh({ server, token: answer.refreshToken }); // first: it is the one that cannot be had again
  await writeAccess(access);
  return access;
}

/** The access token, renewed when it is about to end or when `used` (one that was refused) is what we still have. */
export async function access(used?: string): Promise<AccessToken & { server: string }> {
  return alone(async () => {
    const refresh = await readRefresh();
    if (refresh === null) throw refusal('not-signed-in');
    const server = refresh.server;
    const have = await readAccess();
    if (have !== null && have.token !== used && have.expiresAt - Date.now() > renewBeforeMs) return { ...have, server };
    try {
      // At once again when no answer came: for 30 s the server gives the same successor, after that it takes us for a thief.
      const answer = await persist(() => tokenRequest(server, { grant_type: 'refresh_token', refresh_token: refresh.token }), [300], renewAgainMs);
      return { ...(await keep(server, answer)), server };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const ended = error.problem.error === 'invalid_grant' || error.problem.error === 'invalid_client';
      if (!ended) throw error.status >= 500 ? refusal('server-unreachable', error.status) : error;
      await forget(error.problem.revoked ?? { by: 'system', at: new Date().toISOString(), reason: null });
      throw refusal('unauthorized', 401);
    }
  });
}

/** A request with the access token; once more with a new one when it was refused. */
export async function authorized(request: Omit<Exchange, 'token' | 'language'>): Promise<unknown> {
  const language = await uiTongue();
  const first = await access();
  try {
    return await exchange(first.server, { ...request, token: first.token, language });
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401) throw error;
    const second = await access(first.token);
    return exchange(second.server, { ...request, token: second.token, language });
  }
}

/** Trades a pairing code for a sign-in on that server. */
export async function pair(typed: string, code: string): Promise<void> {
  const server = serverOrigin(typed);
  if (server === null) throw refusal('server-address');
  if (!(await chrome.permissions.contains({ origins: [serverPermission(server)] }))) throw refusal('no-permission');
  try {
    await redeem(server, { grant_type: 'urn:clicktodial:pairing-code', code: code.replace(/[\s-]/g, ''), device_name: deviceName() });
  } catch (error) {
    if (error instanceof Refused && error.problem.error === 'invalid_grant') throw refusal('pairing-refused', error.status);
    if (error instanceof Refused && error.problem.error === 'invalid_request') throw refusal('pairing-refused', error.status);
    throw error;
  }
  await startAfresh(server);
}

/** Trades a code, of whichever kind, for a sign-in. */
export async function redeem(server: string, form: Record<string, string>): Promise<void> {
  await alone(async () => {
    const answer = await tokenRequest(server, form);
    signIns += 1;
    await keep(server, answer);
  });
}

/** What belonged to an earlier sign-in is put aside. May be done twice: a worker may have died in the middle. */
export async function startAfresh(server: string): Promise<void> {
  await writeEnded(null);
  await changeSettings({ server, deviceId: null });
}

/** Tells the server, if it listens, and forgets the tokens in any case. */
export async function signOut(): Promise<void> {
  await alone(async () => {
    const refresh = await readRefresh();
    await forget(null);
    if (refresh === null) return;
    const form = new URLSearchParams({ token: refresh.token, token_type_hint: 'refresh_token', client_id: client });
    await exchange(refresh.server, { method: 'POST', path: '/oauth/revoke', form, language: 'en', timeoutMs: 3000 }).catch(() => null); // forgotten here either way
  });
}

/** The server said so over the link. A renewal under way is waited for, and a sign-in made meanwhile is left alone. */
export async function forgetRevoked(ended: Ended): Promise<void> {
  const before = signIns;
  await alone(async () => {
    if (signIns === before) await forget(ended);
  });
}

async function forget(ended: Ended | null): Promise<void> {
  await writeRefresh(null);
  await writeAccess(null);
  await writeEnded(ended);
}

/** Shown in the list of sign-ins: "Chromium, Linux". */
export function deviceName(): string {
  const agent = navigator.userAgent;
  const browser = /Edg\//.test(agent) ? 'Edge' : /OPR\//.test(agent) ? 'Opera' : /Chrome\//.test(agent) ? 'Chrome' : 'Browser';
  const system = /Windows/.test(agent) ? 'Windows' : /Mac OS X/.test(agent) ? 'macOS' : /CrOS/.test(agent) ? 'ChromeOS' : /Linux/.test(agent) ? 'Linux' : '';
  return system === '' ? browser : `${browser}, ${system}`;
}

