import assert from 'node:assert/strict';
import { test } from 'node:test';
import de from '../_locales/de/messages.json';
import en from '../_locales/en/messages.json';
import nl from '../_locales/nl/messages.json';
import { exchange, persist, refusal, Refused } from '../src/api/client.ts';
import { parseCall, parseChange, parseMe, parseProblem, parseStream, parseTokens } from '../src/api/parse.ts';
import { chooseTongue, problemSentence, translator } from '../src/language.ts';
import { mayAsk, newGesture, parseRequest } from '../src/messages.ts';
import { isExcluded, serverOrigin, serverPermission, siteHost, sitePatterns } from '../src/server-address.ts';

test('every language has every text, with the same places for values', () => {
  const places = (table: Record<string, { message: string }>) => Object.fromEntries(Object.entries(table).map(([key, { message }]) => [key, (message.match(/\$\d/g) ?? []).sort().join()]));
  assert.deepEqual(places(nl), places(en));
  assert.deepEqual(places(de), places(en));
});

test('every code of the contract has a sentence of its own', () => {
  const codes = ['invalid-request', 'unauthorized', 'forbidden', 'not-found', 'number-invalid', 'number-too-long', 'emergency-number', 'premium-number', 'star-code',
    'pace-exceeded', 'too-many-calls', 'no-device', 'pbx-unavailable', 'postgres-unavailable', 'call-ended', 'call-gone', 'idempotency-key-reused', 'internal'];
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
  for (const type of ['confirm', 'hangUp', 'history', 'me', 'pair', 'signOut']) {
    const request = parseRequest({ type, gesture: newGesture(), id: 'x', server: '', code: '', cursor: null });
    assert.ok(request, type);
    assert.equal(mayAsk('page', request), false, type);
  }
  assert.equal(parseRequest({ type: 'page.dial', number: '1', gesture: 'short' }), null);
  assert.equal(parseRequest({ type: 'page.dial', number: '1'.repeat(201), gesture: newGesture() }), null);
  assert.equal(parseRequest('dial'), null);
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
  assert.deepEqual(parseProblem({ error: 'invalid_grant' }), { code: 'invalid_grant', detail: null, confirm: null });
  assert.deepEqual(parseProblem('<html>'), { code: 'internal', detail: null, confirm: null });
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
