// The extension signs in at the real server, in the window with the server's own pages; and is signed out by support.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, openOptions, openPopup, openSignIn, searchProfile, signIn } from '../browser.mjs';
import { enrol, openDesk, signInAt, totp, typePassword } from './desk.mjs';
import { extension } from './person.mjs';
import { startServer } from './server.mjs';
import { later, tidyUp } from './tidy.mjs';
import { hostsAsked } from './traces.mjs';

const limit = { timeout: 60_000 };
const [jo, eva, password] = ['jo@e2e.example', 'eva@e2e.example', 'three quiet otters read'];
let server;
let browser;
let netLog;

before(async () => {
  server = await startServer({ pbxUrl: 'practice://?ring=1s&talk=60s' });
  for (const email of [jo, eva]) {
    server.addUser(email);
    server.setPassword(email, password);
  }
  server.addPhone(jo, { label: 'Desk', endpoint: '101', callerId: '+31201112233' });
  const folder = await mkdtemp(join(tmpdir(), 'ctd-e2e-sign-in-'));
  later(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  netLog = join(folder, 'net.json');
  browser = await launch({ extension, profile: join(folder, 'profile'), args: ['--lang=en-US', `--log-net-log=${netLog}`] });
  later(() => browser.close());
}, limit);

after(tidyUp, limit);

async function allow(page) {
  await page.waitForSelector('button[value=allow]');
  await page.click('button[value=allow]');
}

test('a person signs in with a password, and sees who is connected', limit, async () => {
  await signIn(browser, {
    server: server.url,
    act: async (page) => {
      await typePassword(page, jo, password);
      await page.waitForSelector('button[value=allow]');
      const asked = await page.textContent('main');
      assert.match(asked, /jo@e2e\.example/);
      assert.match(asked, /End to End/, 'the company');
      assert.match(await page.inputValue('input[name=device_name]'), /Chrom/);
      await page.fill('input[name=device_name]', 'The good laptop');
      await allow(page);
    },
  });
  const options = await openOptions(browser);
  const account = await options.textContent('#account');
  const [signedIn] = server.command('token', 'list', '--user', jo).items;
  assert.equal(signedIn.deviceName, 'The good laptop');
  assert.match(account, new RegExp(`Jo Tester.*End to End.*${signedIn.supportCode}`, 's'));
  await options.close();
});

test('support revokes: the popup says by whom, when and why, and the token is dead', limit, async () => {
  const popup = await openPopup(browser);
  await popup.waitForSelector('#device-row:not([hidden])');
  const [signedIn] = server.command('token', 'list', '--user', jo).items;
  server.command('token', 'revoke', '--id', signedIn.id, '--reason', 'lost laptop');
  await popup.waitForFunction(() => /Signed out by support at .*Reason: lost laptop/s.test(document.querySelector('#banner').textContent));
  await popup.close();
});

test('no is an answer', limit, async () => {
  const { options, page } = await openSignIn(browser, server.url);
  await page.click('button[value=deny]'); // still signed in at the server: it only asks for consent
  await options.waitForSelector('#account-said.bad');
  assert.match(await options.textContent('#account-said'), /You chose not to connect/);
  await options.close();
  assert.equal(server.command('token', 'list', '--user', jo).items.filter((one) => one.revokedAt === null).length, 0);
});

test('again is one press; with a second factor it is a code more', limit, async () => {
  await signIn(browser, { server: server.url, act: allow });
  const options = await openOptions(browser);
  await options.click('#sign-out');
  await options.waitForSelector('#pairing:not([hidden])');
  await options.close();

  const desk = await openDesk();
  await signInAt(desk, server.url, eva, password);
  await desk.goto(`${server.url}/console/factor/new`);
  const secret = await enrol(desk);
  await signIn(browser, {
    server: server.url,
    act: async (page) => {
      await page.click('form.aside button'); // not you? sign out
      await typePassword(page, eva, password);
      await page.fill('input.code', '000000');
      await page.click('main button.primary');
      await page.waitForSelector('[role=alert]');
      await page.fill('input.code', totp(secret, 1)); // this step's code was used to set it up
      await page.click('main button.primary');
      await allow(page);
    },
  });
  assert.equal(server.command('token', 'list', '--user', eva).items.length, 1);
});

// Chrome asks its vendor about an e-mail and a password that it finds in one form, or in the fields of one after the other.
test('nobody but the server was asked, and no password or token is on disk', limit, async () => {
  await browser.context.close();
  assert.deepEqual(await hostsAsked(netLog), [new URL(server.url).host]);
  for (const secret of [password, encodeURIComponent(password), password.replaceAll(' ', '+'), 'c2da_']) {
    assert.deepEqual(await searchProfile(browser.profile, [secret]), [], secret);
  }
  for (const secret of [password, 'c2da_', 'c2dr_']) assert.ok(!server.log.includes(secret), `the log holds ${secret}`);
});
