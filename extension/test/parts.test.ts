import assert from 'node:assert/strict';
import { test } from 'node:test';
import de from '../_locales/de/messages.json';
import en from '../_locales/en/messages.json';
import nl from '../_locales/nl/messages.json';
import { exchange, persist, refusal, Refused } from '../src/api/client.ts';
import { authorizeUrl, challengeOf, parseIssuer, randomWord, readDone } from '../src/api/oauth.ts';
import { parseCall, parseChange, parseMe, parseProblem, parseStream, parseTokens } from '../src/api/parse.ts';
import { chooseTongue, endedSentence, localeOf, problemSentence, translator } from '../src/language.ts';
import { mayAsk, newGesture, parseRequest } from '../src/messages.ts';
import { isExcluded, serverOrigin, serverPermission, siteHost, sitePatterns } from '../src/server-address.ts';

test('every language has every text, with the same places for values', () => {
  const places = (table: Record<string, { message: string }>) => Object.fromEntries(Object.entries(table).map(([key, { message }]) => [key, (message.match(/\$\d/g) ?? []).sort().join()]));
  assert.deepEqual(places(nl), places(en));
  assert.deepEqual(places(de), places(en));
});

test('every code of the contract has a sentence of its own', () => {
  const codes = ['invalid-request', 'unauthorized', 'forbidden', 'not-found', 'number-invalid', 'number-too-long', 'emergency-number', 'premium-number', 'star-code',
    'pace-exceeded', 'too-many-calls', 'no-device', 'pbx-unavailable', 'postgres-unavailable', 'call-ended', 'call-gone', 'idempotency-key-reused', 'internal',
    'issuer-other', 'sign-in-not-offered', 'sign-in-denied', 'sign-in-error', 'sign-in-state', 'sign-in-issuer', 'sign-in-refused', 'sign-in-late'];
  for (const tongue of ['nl', 'en', 'de'] as const) {
    const t = translator(tongue);
    assert.equal(new Set(codes.map((code) => problemSentence(t, code, null))).size, codes.length);
    assert.equal(problemSentence(t, 'outside-hours', 'Office hours are over.'), 'Office hours are over.');
    assert.ok(problemSentence(t, 'never-heard-of', null).length > 10);
  }
});

test('the language', () => {
  assert.equal(chooseTongue('auto', 'nl-BE'), 'nl');
  assert.equal(chooseTongue('auto', 'fr'), 'en');
  assert.equal(chooseTongue('de', 'nl'), 'de');
});

test('server addresses', () => {
  assert.equal(serverOrigin(' calls.acme.example/console '), 'https://calls.acme.example');
  assert.equal(serverOrigin('http://127.0.0.1:8080'), 'http://127.0.0.1:8080');
  assert.equal(serverOrigin('http://localhost:8080/'), 'http://localhost:8080');
  for (const bad of ['http://calls.acme.example', 'ftp://a.example', 'javascript:alert(1)', '', 'https://', 'https://u:p@a.example']) assert.equal(serverOrigin(bad), null, bad);
  assert.equal(serverPermission('http://127.0.0.1:8080'), 'http://127.0.0.1/*');
});

test('sites', () => {
  assert.equal(siteHost('https://crm.acme.example/x?y'), 'crm.acme.example');
  assert.equal(siteHost('*.acme.example'), 'acme.example');
  assert.equal(siteHost('a b'), null);
  assert.ok(isExcluded('www.bank.example', ['bank.example']));
  assert.ok(!isExcluded('notbank.example', ['bank.example']));
  assert.deepEqual(sitePatterns(['127.0.0.1']), ['http://127.0.0.1/*', 'https://127.0.0.1/*']);
});

test('a page may only ask what a page may', () => {
  const own = parseRequest({ type: 'dial', number: '1', name: null, gesture: newGesture() });
  assert.ok(own);
  assert.equal(mayAsk('page', own), false);
  for (const type of ['confirm', 'hangUp', 'history', 'me', 'pair', 'signIn', 'signOut']) {
    const request = parseRequest({ type, gesture: newGesture(), id: 'x', server: '', code: '', cursor: null });
    assert.ok(request, type);
    assert.equal(mayAsk('page', request), false, type);
  }
  assert.equal(parseRequest({ type: 'page.dial', number: '1', gesture: 'short' }), null);
  assert.equal(parseRequest({ type: 'page.dial', number: '1'.repeat(201), gesture: newGesture() }), null);
  assert.equal(parseRequest('dial'), null);
  assert.equal(parseRequest({ type: 'signIn', server: 'a'.repeat(301) }), null);
  assert.match(newGesture(), /^[0-9a-f]{32}$/);
});

const call = {
  id: '0192', number: '+31201234567', display: '+31 20 123 4567', name: null, status: 'initiating', reason: null, diagnosis: null,
  device: { id: 'd', label: 'Desk' }, signIn: { id: 's', label: 'x' }, createdAt: '2026-01-01T00:00:00Z', callerAnsweredAt: null, connectedAt: null,
  endedAt: null, durationSeconds: null, expiresAt: '2026-04-01T00:00:00Z', private: false, can: { hangUp: true },
};

test('answers are checked', () => {
  assert.equal(parseCall(call).can.hangUp, true);
  assert.throws(() => parseCall({ ...call, status: 'exploded' }));
  assert.throws(() => parseCall(null));
  assert.equal(parseCall({ ...call, number: null, display: null, private: true, device: { id: null, label: 'Desk' } }).number, '');
  assert.equal(parseChange({ ...call, number: null, display: null, status: 'disconnected' }).number, '');
  assert.deepEqual(parseChange({ id: 'x', status: 'failed', reason: null }), { id: 'x', status: 'failed', reason: null });
  assert.throws(() => parseTokens({ access_token: 'a' }));
  assert.throws(() => parseMe({ user: {} }));
  const none = { detail: null, confirm: null, error: null, revoked: null };
  assert.deepEqual(parseProblem({ error: 'invalid_grant' }), { ...none, code: 'invalid_grant', error: 'invalid_grant' });
  assert.deepEqual(parseProblem('<html>'), { ...none, code: 'internal' });
  assert.equal(parseStream({ type: 'something-new' }), null);
  assert.deepEqual(parseStream({ type: 'ready', id: 7 }), { type: 'ready', id: '7', reset: false });
});

test('what was lost on the way is sent again, what was refused is not', async () => {
  let sent = 0;
  await assert.rejects(persist(async () => { sent += 1; throw refusal('server-unreachable'); }, [1, 1]));
  assert.equal(sent, 3);
  sent = 0;
  await assert.rejects(persist(async () => { sent += 1; throw refusal('pbx-unavailable', 503); }, [1, 1]));
  assert.equal(sent, 1);
});

test('no server at all is a sentence, too', async () => {
  await assert.rejects(exchange('http://127.0.0.1:9', { method: 'GET', path: '/v1/me', language: 'en' }), (error) => error instanceof Refused && error.problem.code === 'server-unreachable');
});

test('who ended a sign-in is understood, from the link and from the token endpoint', () => {
  const revoked = { by: 'support', reason: 'laptop lost', at: '2026-03-04T09:42:00Z' };
  assert.deepEqual(parseStream({ type: 'revoked', ...revoked }), { type: 'revoked', ended: revoked });
  const problem = parseProblem({ error: 'invalid_grant', error_description: 'It has ended.', code: 'refresh-token-invalid', revoked });
  assert.deepEqual(problem, { code: 'refresh-token-invalid', detail: 'It has ended.', confirm: null, error: 'invalid_grant', revoked });
  const reasonOf = (reason: unknown) => parseProblem({ error: 'invalid_grant', revoked: { ...revoked, reason } }).revoked?.reason;
  assert.equal(reasonOf('x'.repeat(200)), 'x'.repeat(200));
  assert.equal(reasonOf('x'.repeat(201)), 'x'.repeat(200));
  assert.equal(reasonOf('a\nb\u202Ec'), 'a b c');
  for (const nothing of ['', '  ', null, undefined, 7]) assert.equal(reasonOf(nothing), null);
  assert.deepEqual(parseProblem({ error: 'invalid_grant', revoked: { at: 5 } }).revoked, { by: 'system', at: '', reason: null });
  assert.equal(parseProblem({ error: 'invalid_grant', revoked: 'yes' }).revoked, null);
});

test('signed out by whom, when and why', () => {
  const at = new Date(2026, 10, 23, 10, 42);
  const ended = (by: string, reason: string | null = null) => ({ by, at: at.toISOString(), reason });
  const today = new Date(2026, 10, 23, 18, 0);
  const tomorrow = new Date(2026, 10, 24, 0, 1);
  const nextYear = new Date(2027, 0, 1);
  for (const [tongue, locale, by, now, title] of [
    ['en', 'en-GB', 'support', today, 'Signed out by support at 10:42'],
    ['en', 'en-GB', 'operator', tomorrow, 'Signed out by your provider on 23 November at 10:42'],
    ['en', 'en-GB', 'admin', nextYear, 'Signed out by your administrator on 23 November 2026 at 10:42'],
    ['en', 'en-GB', 'user', today, 'You signed this browser out at 10:42'],
    ['en', 'en-GB', 'somebody new', today, 'You were signed out at 10:42'],
    ['nl', 'nl', 'support', today, 'Afgemeld door support om 10:42'],
    ['nl', 'nl-NL', 'operator', tomorrow, 'Afgemeld door je provider op 23 november om 10:42'],
    ['nl', 'nl', 'system', today, 'Je bent om 10:42 afgemeld'],
    ['de', 'de', 'support', tomorrow, 'Vom Support abgemeldet am 23. November um 10:42'],
    ['de', 'de-AT', 'operator', today, 'Von Ihrem Anbieter abgemeldet um 10:42'],
  ] as const) assert.equal(endedSentence(translator(tongue), locale, ended(by), now).title, title);
  const t = translator('en');
  assert.equal(endedSentence(t, 'en-GB', { by: 'system', at: 'never', reason: null }, today).title, 'You were signed out');
  assert.equal(endedSentence(t, 'en-GB', ended('support', 'laptop lost $1'), today).reason, 'Reason: laptop lost $1');
  assert.equal(endedSentence(t, 'en-GB', ended('system', 'signed out'), today).reason, null); // the server's own word, in English
  assert.equal(localeOf('en', 'en-GB'), 'en-GB');
  assert.equal(localeOf('nl', 'en-GB'), 'nl');
});

test('PKCE', async () => {
  assert.equal(await challengeOf('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'), 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'); // RFC 7636 appendix B
  const words = Array.from({ length: 50 }, randomWord);
  assert.equal(new Set(words).size, words.length);
  for (const word of words) assert.match(word, /^[A-Za-z0-9_-]{43}$/);
});

test('the address of the sign-in', () => {
  const url = new URL(authorizeUrl('https://calls.acme.example', { state: 'st', challenge: 'ch', deviceName: 'Chrome, Linux', language: 'nl' }));
  assert.equal(url.origin + url.pathname, 'https://calls.acme.example/oauth/authorize');
  assert.deepEqual(Object.fromEntries(url.searchParams), {
    response_type: 'code', client_id: 'extension', redirect_uri: 'https://calls.acme.example/oauth/done',
    scope: 'click-to-dial:calls:create click-to-dial:calls:read click-to-dial:calls:delete',
    state: 'st', code_challenge: 'ch', code_challenge_method: 'S256', device_name: 'Chrome, Linux', ui_locales: 'nl',
  });
  assert.equal(parseIssuer({ issuer: 'https://a.example', more: 1 }), 'https://a.example');
  for (const bad of [null, [], {}, { issuer: 7 }]) assert.throws(() => parseIssuer(bad));
});

test('what the address of the window says', () => {
  const server = 'https://calls.acme.example';
  const waiting = { server, state: 'ours', spent: ['before'] };
  const iss = encodeURIComponent(server);
  const refused = (why: string) => ({ is: 'refused', why });
  const elsewhere = { is: 'elsewhere' };
  for (const [name, url, means] of [
    ['right', `${server}/oauth/done?code=abc&state=ours&iss=${iss}`, { is: 'code', code: 'abc' }],
    ['right, other order, more', `${server}/oauth/done?iss=${iss}&new=1&state=ours&code=a%2Bb#x`, { is: 'code', code: 'a+b' }],
    ['no permission to see it', undefined, elsewhere],
    ['signing in', `${server}/oauth/authorize?state=ours`, elsewhere],
    ['done, with nothing', `${server}/oauth/done`, elsewhere],
    ['longer path', `${server}/oauth/done/x?code=abc&state=ours&iss=${iss}`, elsewhere],
    ['other host', `https://evil.example/oauth/done?code=abc&state=ours&iss=${iss}`, elsewhere],
    ['host that begins alike', `${server}.evil.example/oauth/done?code=abc&state=ours&iss=${iss}`, elsewhere],
    ['other port', `${server}:8443/oauth/done?code=abc&state=ours&iss=${iss}`, elsewhere],
    ['denied', `${server}/oauth/done?error=access_denied&state=ours&iss=${iss}`, refused('sign-in-denied')],
    ['error beside a code', `${server}/oauth/done?code=abc&error=server_error&state=ours&iss=${iss}`, refused('sign-in-error')],
    ['error twice', `${server}/oauth/done?error=access_denied&error=x&state=ours&iss=${iss}`, refused('sign-in-error')],
    ['other state', `${server}/oauth/done?code=abc&state=theirs&iss=${iss}`, refused('sign-in-state')],
    ['no state', `${server}/oauth/done?code=abc&iss=${iss}`, refused('sign-in-state')],
    ['state twice', `${server}/oauth/done?code=abc&state=ours&state=theirs&iss=${iss}`, refused('sign-in-state')],
    ['other issuer', `${server}/oauth/done?code=abc&state=ours&iss=https%3A%2F%2Fevil.example`, refused('sign-in-issuer')],
    ['issuer with a slash', `${server}/oauth/done?code=abc&state=ours&iss=${iss}%2F`, refused('sign-in-issuer')],
    ['no issuer', `${server}/oauth/done?code=abc&state=ours`, refused('sign-in-issuer')],
    ['no code', `${server}/oauth/done?state=ours&iss=${iss}`, refused('sign-in-error')],
    ['code twice', `${server}/oauth/done?code=a&code=b&state=ours&iss=${iss}`, refused('sign-in-error')],
    ['longest code', `${server}/oauth/done?code=${'a'.repeat(1024)}&state=ours&iss=${iss}`, { is: 'code', code: 'a'.repeat(1024) }],
    ['code too long', `${server}/oauth/done?code=${'a'.repeat(1025)}&state=ours&iss=${iss}`, refused('sign-in-error')],
    ['an earlier round', `${server}/oauth/done?code=abc&state=before&iss=${iss}`, { is: 'spent' }],
    ['an earlier round, denied', `${server}/oauth/done?error=access_denied&state=before&iss=${iss}`, { is: 'spent' }],
  ] as const) assert.deepEqual(readDone(url, waiting), means, name);
});
