// The pure half of the sign-in: authorization code with PKCE (RFC 6749, 7636), the server's metadata (RFC 8414) and its
// name in the answer (RFC 9207). Nothing here sends, stores or waits.
import { fields, text } from './check.ts';

export const client = 'extension';
const scope = 'click-to-dial:calls:create click-to-dial:calls:read click-to-dial:calls:delete';
const longestCode = 1024;

/** 32 random bytes, as 43 characters: a state, or a verifier (RFC 7636 4.1). */
export function randomWord(): string {
  return base64Url(crypto.getRandomValues(new Uint8Array(32)));
}

/** S256 (RFC 7636 4.2). */
export async function challengeOf(verifier: string): Promise<string> {
  return base64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))));
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

export const metadataPath = '/.well-known/oauth-authorization-server';

export function parseIssuer(value: unknown): string {
  return text(fields(value, 'metadata'), 'issuer');
}

export function redirectUri(server: string): string {
  return `${server}/oauth/done`;
}

/** Where the person signs in and says yes. */
export function authorizeUrl(server: string, asked: { state: string; challenge: string; deviceName: string; language: string }): string {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client,
    redirect_uri: redirectUri(server),
    scope,
    state: asked.state,
    code_challenge: asked.challenge,
    code_challenge_method: 'S256',
    device_name: asked.deviceName,
    ui_locales: asked.language,
  });
  return `${server}/oauth/authorize?${query}`;
}

export type SignInTrouble = 'sign-in-denied' | 'sign-in-error' | 'sign-in-state' | 'sign-in-issuer';

/** What the address of the sign-in's tab says. */
export type Done =
  | { is: 'elsewhere' } // the person is still busy
  | { is: 'spent' } // the answer of an earlier round
  | { is: 'code'; code: string }
  | { is: 'refused'; why: SignInTrouble };

export function readDone(url: string | undefined, waiting: { server: string; state: string; spent: readonly string[] }): Done {
  const start = `${redirectUri(waiting.server)}?`;
  if (url === undefined || !url.startsWith(start)) return { is: 'elsewhere' };
  const query = new URLSearchParams(url.slice(start.length).replace(/#.*$/s, ''));
  const once = (name: string): string | null => { // a parameter comes once (RFC 6749 3.1)
    const [value, ...more] = query.getAll(name);
    return value === undefined || more.length > 0 ? null : value;
  };
  const state = once('state');
  if (state !== null && waiting.spent.includes(state)) return { is: 'spent' };
  if (query.has('error')) return { is: 'refused', why: once('error') === 'access_denied' ? 'sign-in-denied' : 'sign-in-error' };
  if (state !== waiting.state) return { is: 'refused', why: 'sign-in-state' };
  if (once('iss') !== waiting.server) return { is: 'refused', why: 'sign-in-issuer' };
  const code = once('code');
  return code === null || code === '' || code.length > longestCode ? { is: 'refused', why: 'sign-in-error' } : { is: 'code', code };
}
