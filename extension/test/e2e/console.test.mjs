// The console as people use it: no script runs in this browser.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { signIn } from './api.mjs';
import { enrol, openDesk, signInAt } from './desk.mjs';
import { startServer } from './server.mjs';
import { tidyUp } from './tidy.mjs';

const limit = { timeout: 60_000 };
const [jo, help, password] = ['jo@e2e.example', 'help@provider.example', 'three quiet otters read'];
let server;

before(async () => {
  server = await startServer({ pbxUrl: 'practice://?ring=60s&talk=60s' });
  server.addUser(jo);
  server.addPhone(jo, { label: 'Desk', endpoint: '101', callerId: '+31201112233' });
  server.setPassword(jo, password);
  server.addSupport(help);
  server.setPassword(help, password);
}, limit);

after(tidyUp, limit);

test('an angry customer, a lost laptop: support finds, revokes, and sees that it is dead, in at most four clicks', limit, async () => {
  const laptop = await signIn(server, jo);
  const live = await laptop.live();
  const ringing = await laptop.dial({ number: '020 123 4567' });
  assert.equal(ringing.status, 201);
  assert.equal((await laptop.dial({ number: '112' })).status, 422);

  const page = await openDesk();
  await signInAt(page, server.url, help, password);
  await page.waitForURL(/\/console\/factor\/new/); // support must have a second factor
  await enrol(page);
  await page.click('main a.primary, main button.primary'); // the recovery codes are written down
  await page.waitForURL(`${server.url}/console/support`);

  let clicks = 0;
  const click = async (what) => {
    clicks += 1;
    await page.click(what);
  };
  await page.keyboard.type('JO@e2e.example'); // the field has the focus
  await click('button:has-text("Find")');
  await page.waitForURL(/\/console\/support\/users\/[0-9a-f-]{36}$/);
  const found = await page.textContent('main');
  assert.match(found, /jo@e2e\.example/);
  assert.match(found, /\+31 20 123 4\*\*\*/, 'the call, masked');
  assert.match(found, /Emergency numbers/, 'the refusal');
  assert.doesNotMatch(found, /1234567|123 4567|Jo Tester/, 'no whole number and no name');
  await click('button:has-text("Revoke token")');
  const dead = await page.textContent('main');
  assert.match(dead, /support/i);
  assert.match(dead, /Lost or stolen/i, 'why');
  assert.equal(await page.locator('button:has-text("Revoke token")').count(), 0, 'nothing is left to revoke');
  assert.ok(clicks <= 4, `${clicks} clicks`);

  assert.equal((await laptop.ask('GET', '/v1/me')).status, 401);
  const said = await live.next((one) => one.type === 'revoked', 'to be told');
  assert.equal(said.by, 'support');
  assert.match(said.reason, /./);
  const again = await signIn(server, jo);
  const { body: call } = await again.ask('GET', `/v1/calls/${ringing.body.id}`);
  assert.equal(call.status, 'disconnected', 'the phone no longer rings');
});

test('pages hold no script, and nothing personal in their address or title', limit, async () => {
  const page = await openDesk();
  const seen = [];
  page.on('framenavigated', (frame) => seen.push(frame.url()));
  await signInAt(page, server.url, jo, password);
  for (const path of ['/console/sign-ins', '/console/password', '/console/factor']) {
    await page.goto(server.url + path);
    assert.equal(await page.locator('script').count(), 0);
    assert.equal(await page.getAttribute('html', 'translate'), 'no');
    assert.doesNotMatch(await page.title(), /jo|tester|e2e|@/i);
  }
  for (const url of seen) assert.doesNotMatch(decodeURIComponent(url), /jo@|tester|otters/i);
});

test('a wrong password is told in one sentence, in the language of the browser', limit, async () => {
  const page = await openDesk({ locale: 'nl-NL' });
  for (const email of [jo, 'nobody@e2e.example']) {
    await signInAt(page, server.url, email, 'three noisy otters read');
    assert.equal((await page.textContent('[role=alert]')).trim(), 'Dit e-mailadres en wachtwoord horen niet bij elkaar.');
    assert.equal(await page.inputValue('input[type=password]'), '');
  }
});
