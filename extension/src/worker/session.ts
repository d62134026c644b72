// The sign-in: pairing, the access token, its renewal. Only one renewal at a time, over all our contexts: a refresh token
// used twice ends the sign-in.
import { exchange, refusal, Refused } from '../api/client.ts';
import type { Exchange } from '../api/client.ts';
import { parseTokens } from '../api/parse.ts';
import type { TokenAnswer } from '../api/types.ts';
import { serverOrigin, serverPermission } from '../server-address.ts';
import { changeSettings, readAccess, readRefresh, writeAccess, writeEnded, writeRefresh } from '../storage.ts';
import type { AccessToken, Ended } from '../storage.ts';
import { uiTongue } from './tongue.ts';

const client = 'extension';
const renewBeforeMs = 30_000;

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
  return navigator.locks.request('sign-in', async () => {
    const refresh = await readRefresh();
    if (refresh === null) throw refusal('not-signed-in');
    const server = refresh.server;
    const have = await readAccess();
    if (have !== null && have.token !== used && have.expiresAt - Date.now() > renewBeforeMs) return { ...have, server };
    try {
      const answer = await tokenRequest(server, { grant_type: 'refresh_token', refresh_token: refresh.token });
      return { ...(await keep(server, answer)), server };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const ended = error.problem.code === 'invalid_grant' || error.problem.code === 'invalid_client';
      if (!ended) throw error.status >= 500 ? refusal('server-unreachable', error.status) : error;
      await forget({ by: 'system', at: new Date().toISOString() });
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
  await navigator.locks.request('sign-in', async () => {
    try {
      const answer = await tokenRequest(server, {
        grant_type: 'urn:clicktodial:pairing-code',
        code: code.replace(/[\s-]/g, ''),
        device_name: deviceName(),
      });
      await keep(server, answer);
    } catch (error) {
      if (error instanceof Refused && error.problem.code === 'invalid_grant') throw refusal('pairing-refused', error.status);
      if (error instanceof Refused && error.problem.code === 'invalid_request') throw refusal('pairing-refused', error.status);
      throw error;
    }
    await writeEnded(null);
    await changeSettings({ server, deviceId: null });
  });
}

/** Tells the server, if it listens, and forgets the tokens in any case. */
export async function signOut(): Promise<void> {
  await navigator.locks.request('sign-in', async () => {
    const refresh = await readRefresh();
    await forget(null);
    if (refresh === null) return;
    const form = new URLSearchParams({ token: refresh.token, token_type_hint: 'refresh_token', client_id: client });
    await exchange(refresh.server, { method: 'POST', path: '/oauth/revoke', form, language: 'en', timeoutMs: 3000 }).catch(() => null); // forgotten here either way
  });
}

export async function forget(ended: Ended | null): Promise<void> {
  await writeRefresh(null);
  await writeAccess(null);
  await writeEnded(ended);
}

/** Shown in the list of sign-ins: "Chromium, Linux". */
function deviceName(): string {
  const agent = navigator.userAgent;
  const browser = /Edg\//.test(agent) ? 'Edge' : /OPR\//.test(agent) ? 'Opera' : /Chrome\//.test(agent) ? 'Chrome' : 'Browser';
  const system = /Windows/.test(agent) ? 'Windows' : /Mac OS X/.test(agent) ? 'macOS' : /CrOS/.test(agent) ? 'ChromeOS' : /Linux/.test(agent) ? 'Linux' : '';
  return system === '' ? browser : `${browser}, ${system}`;
}

