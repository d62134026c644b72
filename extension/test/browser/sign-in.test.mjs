// The sign-in in the server's own window, step by step, and what becomes of it when a step fails or the worker is stopped.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { allowHosts, hostsInNetLog, launch, openOptions, openOwn, openPopup, openSignIn, pair, searchProfile, signIn, stopWorker } from '../browser.mjs';
import { startFakeServer } from '../fake-server.mjs';

const limit = { timeout: 60_000 };
let server;
let browser;

before(async () => {
  server = await startFakeServer();
  browser = await launch();
  await allowHosts(browser, ['http://127.0.0.1/*']);
}, limit);

after(async () => {
  await browser?.close();
  await server?.stop();
});

beforeEach(() => {
  server.state.requests.length = 0;
  server.state.revokedBy = null;
  const { oauth } = server.state;
  oauth.asked.length = oauth.sent.length = 0;
  Object.assign(oauth, { issuer: null, heldMetadata: null, answer: {}, lost: 0, reset: 0, held: null, refusal: null });
});

afterEach(async () => { // the next one begins signed out
  const page = await openOptions(browser);
  await page.evaluate(() => chrome.runtime.sendMessage({ type: 'signOut' }));
  for (const one of browser.context.pages().slice(1)) await one.close().catch(() => undefined); // the sign-in's window closes by itself
}, limit);

async function until(what, ms = 8000) {
  for (const end = Date.now() + ms; ; await new Promise((resolve) => setTimeout(resolve, 30))) {
    const value = await what();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
  }
}

const stored = (own, area) => own.evaluate((name) => chrome.storage[name].get(), area);
const windows = () => browser.context.pages().filter((page) => page.url().startsWith(`${server.url}/oauth/`));
const sent = () => server.state.oauth.sent;
const saysAccount = (options) => options.waitForSelector('#account:not([hidden])');
const isClosed = (page) => until(() => page.isClosed());

/** Opens the window, and waits until the page that asks is there. */
async function begin() {
  const both = await openSignIn(browser, server.url);
  await both.page.waitForSelector('#allow');
  return both;
}

async function allow(page) {
  await page.waitForSelector('#allow');
  await page.click('#allow', { noWaitAfter: true }); // the window closes under it
}

/** What the options page says of a failure, once it says it. */
async function complaint(options) {
  await options.waitForSelector('#account-said.bad');
  return options.textContent('#account-said');
}

/** Holds a lock of the extension from one of its pages, so that the worker waits there. */
async function holdLock(own, name) {
  await own.evaluate((wanted) => new Promise((held) => {
    void navigator.locks.request(wanted, () => new Promise((release) => {
      window.release = release;
      held();
    }));
  }), name);
  return {
    waitedFor: () => until(() => own.evaluate(async (wanted) => (await navigator.locks.query()).pending.some((lock) => lock.name === wanted), name)),
    release: () => own.evaluate(() => window.release()),
  };
}

/** Stops the worker and waits until it is gone. */
async function stop(own) {
  await stopWorker(browser, own);
  await until(async () => (await runningWorkers(own)) === 0);
}

/** As the browser counts them: Playwright's own list keeps a worker for a while. */
async function runningWorkers(own) {
  const session = await browser.context.newCDPSession(own);
  const { targetInfos } = await session.send('Target.getTargets');
  await session.detach();
  return targetInfos.filter((target) => target.type === 'service_worker').length;
}

test('signed in: PKCE, the right request, the window closes, pages that are open say so', limit, async () => {
  const popup = await openPopup(browser);
  await popup.waitForSelector('.banner.info button');
  await signIn(browser, { server: server.url, act: allow });
  await popup.waitForSelector('#device-row:not([hidden])');

  const [asked, ...more] = server.state.oauth.asked;
  assert.deepEqual(more, []);
  const { state, code_challenge: challenge, device_name: device, ...rest } = asked;
  assert.match(state, /^[A-Za-z0-9_-]{43}$/);
  assert.match(challenge, /^[A-Za-z0-9_-]{43}$/);
  assert.match(device, /^Chrome, \w+$/);
  assert.deepEqual(rest, {
    response_type: 'code', client_id: 'extension', redirect_uri: `${server.url}/oauth/done`, code_challenge_method: 'S256', ui_locales: 'en',
    scope: 'click-to-dial:calls:create click-to-dial:calls:read click-to-dial:calls:delete',
  });
  assert.equal(sent().length, 1);
  assert.deepEqual(Object.keys(sent()[0]).sort(), ['client_id', 'code', 'code_verifier', 'grant_type', 'redirect_uri']);
  assert.deepEqual(windows(), []);

  const options = await openOptions(browser);
  await saysAccount(options);
  assert.match(await options.textContent('#account'), /Anna de Vries.*Acme B\.V\..*127\.0\.0\.1.*KRTWPX/s);
  assert.deepEqual((await stored(options, 'local')).refresh, { server: server.url, token: server.state.refresh });
  assert.equal((await stored(options, 'local')).settings.server, server.url);
  assert.equal((await stored(options, 'session')).signingIn, null);
});

test('when no sign-in is under way, a page that loads does not start the worker', limit, async () => {
  const options = await openOptions(browser);
  await until(async () => { // asked of the worker itself: it listens while it looks whether there is one
    const worker = browser.context.serviceWorkers().at(-1);
    return (await worker?.evaluate(() => chrome.tabs.onUpdated.hasListeners())) === false;
  });
  await stop(options);
  await options.goto(`${server.url}/oauth/done`);
  await options.goto('about:blank');
  assert.equal(await runningWorkers(options), 0);
});

test('denied: one sentence, nothing sent, nothing kept', limit, async () => {
  const { options, page } = await begin();
  await page.click('#deny', { noWaitAfter: true });
  assert.equal(await complaint(options), 'You chose not to connect. Press Sign in if you change your mind.');
  await isClosed(page);
  assert.deepEqual(sent(), []);
  assert.equal((await stored(options, 'local')).refresh, undefined);
  assert.equal((await stored(options, 'session')).signingIn, null);
  const popup = await openPopup(browser);
  await popup.waitForFunction(() => /You chose not to connect/.test(document.querySelector('#banner').textContent));
});

for (const [name, answer, sentence] of [
  ['another state', { state: 'A'.repeat(43) }, /did not belong to this sign-in/],
  ['no state', { state: null }, /did not belong to this sign-in/],
  ['another issuer', { iss: 'https://evil.example' }, /in the name of another server/],
  ['no issuer', { iss: null }, /in the name of another server/],
  ['an error of the server', { error: 'server_error' }, /could not sign you in/],
]) {
  test(`an answer with ${name} is refused, and its code never sent`, limit, async () => {
    const { options, page } = await begin();
    server.state.oauth.answer = answer;
    await allow(page);
    assert.match(await complaint(options), sentence);
    await isClosed(page);
    assert.deepEqual(sent(), []);
  });
}

test('a request for tokens that the server refuses ends it', limit, async () => {
  const { options, page } = await begin();
  server.state.oauth.refusal = { status: 400, error: 'unauthorized_client' };
  await allow(page);
  assert.match(await complaint(options), /did not accept this sign-in/);
  await isClosed(page);
  assert.equal(sent().length, 1);
});

test('a server that calls itself otherwise, or offers no sign-in, is told before any window opens', limit, async () => {
  const options = await openOptions(browser);
  for (const [issuer, sentence] of [
    ['https://calls.acme.example', 'This server calls itself https://calls.acme.example. Enter that address.'],
    ['no address', 'The server gave an answer that is not understood. Tell your administrator.'],
    [404, 'This address does not offer this sign-in. Check the address, or use a pairing code.'],
  ]) {
    server.state.oauth.issuer = issuer;
    await options.fill('#server', server.url);
    await options.click('#sign-in');
    await options.waitForFunction((wanted) => document.querySelector('#account-said').textContent === wanted, sentence);
  }
  assert.deepEqual(server.state.oauth.asked, []);
  assert.equal((await stored(options, 'session')).signingIn ?? null, null);
});

test('the window closed by the person ends it quietly; the next press opens another', limit, async () => {
  const { options, page } = await begin();
  await options.waitForFunction(() => /window that has opened/.test(document.querySelector('#account-said').textContent));
  await page.close();
  await options.waitForFunction(() => document.querySelector('#account-said').textContent === '');
  assert.equal((await stored(options, 'session')).signingIn, null);
  const opened = browser.context.waitForEvent('page');
  await options.click('#sign-in');
  await allow(await opened);
  await saysAccount(options);
});

test('a second press brings the open window to the front', limit, async () => {
  const { options, page } = await begin();
  await options.waitForSelector('#sign-in:enabled');
  const { signingIn } = await stored(options, 'session');
  const own = await options.evaluate((id) => chrome.tabs.get(id).then((tab) => chrome.windows.get(tab.windowId)), signingIn.tabId);
  assert.equal(own.type, 'popup');
  const worker = browser.context.serviceWorkers().at(-1);
  await worker.evaluate(() => { // without a display no window has the focus: what is asked for must do
    const update = chrome.windows.update;
    globalThis.updated = [];
    chrome.windows.update = (...change) => { globalThis.updated.push(change); return update(...change); };
  });
  await options.click('#sign-in');
  await until(() => worker.evaluate(() => globalThis.updated.length > 0));
  assert.deepEqual(await worker.evaluate(() => globalThis.updated), [[own.id, { focused: true }]]);
  assert.deepEqual((await stored(options, 'session')).signingIn, signingIn);
  assert.equal(server.state.oauth.asked.length, 1);
  await allow(page);
  await saysAccount(options);
});

test('the worker stopped before anything is written down: the page asks once more', limit, async () => {
  const options = await openOptions(browser);
  let answer;
  server.state.oauth.heldMetadata = new Promise((resolve) => { answer = resolve; });
  await options.fill('#server', server.url);
  const opened = browser.context.waitForEvent('page');
  await options.click('#sign-in');
  await until(() => server.state.requests.some((one) => one.path.startsWith('/.well-known/')));
  server.state.oauth.heldMetadata = null;
  await stopWorker(browser, options);
  answer();
  await allow(await opened);
  await saysAccount(options);
  assert.equal(server.state.oauth.asked.length, 1);
});

test('the worker stopped while the window is open', limit, async () => {
  const { options, page } = await begin();
  await stop(options);
  await allow(page);
  await saysAccount(options);
  await isClosed(page);
  assert.equal(sent().length, 1);
});

test('the worker stopped while the window is open, and the window then closed', limit, async () => {
  const { options, page } = await begin();
  await stop(options);
  await page.close();
  await until(async () => (await stored(options, 'session')).signingIn === null);
});

test('the worker stopped between the redirect and the sending of the code', limit, async () => {
  const { options, page } = await begin();
  const lock = await holdLock(options, 'sign-in-window');
  await page.click('#allow');
  await page.waitForSelector('#done');
  await lock.waitedFor();
  await stop(options);
  await lock.release();
  assert.deepEqual(sent(), []);
  await options.waitForSelector('#account:not([hidden])', { timeout: 45_000 }); // nothing wakes it but its own alarm, each 30 s
  await isClosed(page);
  assert.equal(sent().length, 1);
});

test('the worker stopped while the code is under way: never sent twice, one more press in the same window', limit, async () => {
  const { options, page } = await begin();
  let answer;
  server.state.oauth.held = new Promise((resolve) => { answer = resolve; });
  await page.click('#allow');
  await until(() => sent().length === 1);
  await stop(options);
  answer();
  server.state.oauth.held = null;
  await openPopup(browser);
  await allow(page);
  await saysAccount(options);
  await isClosed(page);
  assertTwoRounds();
});

test('an answer to the code that is lost: never sent twice, one more press in the same window', limit, async () => {
  const { options, page } = await begin();
  server.state.oauth.lost = 1;
  await page.click('#allow');
  await until(() => server.state.oauth.asked.length === 2);
  await allow(page);
  await saysAccount(options);
  await isClosed(page);
  assertTwoRounds();
});

for (const [name, trouble] of [
  ['expired', { refusal: { status: 400, error: 'invalid_grant' } }],
  ['used up by the browser, which sends again by itself when a connection breaks', { reset: 1 }],
]) {
  test(`a code that is void, ${name}: one more press in the same window`, limit, async () => {
    const { options, page } = await begin();
    Object.assign(server.state.oauth, trouble);
    await page.click('#allow');
    await until(() => server.state.oauth.asked.length === 2);
    await allow(page);
    await saysAccount(options);
    await isClosed(page);
    assert.equal(new Set(sent().map((form) => form.code)).size, 2);
  });
}

function assertTwoRounds() {
  const { asked } = server.state.oauth;
  for (const [list, key] of [[asked, 'state'], [asked, 'code_challenge'], [sent(), 'code'], [sent(), 'code_verifier']]) {
    assert.equal(list.length, 2, key);
    assert.notEqual(list[0][key], list[1][key]);
  }
}

test('a server that never answers to a code is given up after three rounds', limit, async () => {
  const { options, page } = await begin();
  server.state.oauth.lost = 3;
  for (let round = 1; round <= 3; round++) {
    await until(() => server.state.oauth.asked.length === round);
    await allow(page);
    await until(() => sent().length === round);
  }
  assert.match(await complaint(options), /server does not answer/);
  await isClosed(page);
});

test('the worker stopped when the tokens are kept and the window still open', limit, async () => {
  const { options, page } = await begin();
  const lock = await holdLock(options, 'settings'); // what comes right after the tokens
  await page.click('#allow');
  await until(async () => (await stored(options, 'local')).refresh !== undefined);
  await lock.waitedFor();
  await stop(options);
  assert.equal(page.isClosed(), false);
  await lock.release();
  await openPopup(browser);
  await isClosed(page);
  await saysAccount(options);
  assert.equal(sent().length, 1);
  assert.equal((await stored(options, 'local')).settings.server, server.url);
  await until(async () => (await stored(options, 'session')).signingIn === null);
});

test('the worker stopped when the sign-in is written down and no window open yet', limit, async () => {
  const { options, page } = await begin();
  const { signingIn } = await stored(options, 'session');
  await options.evaluate((record) => chrome.storage.session.set({ signingIn: record }), { ...signingIn, phase: 'opening', tabId: null });
  const opened = browser.context.waitForEvent('page', (one) => one.url().startsWith(server.url));
  await page.close(); // its tab is not the one that is written down
  await stop(options);
  await openPopup(browser);
  await allow(await opened);
  await saysAccount(options);
  assert.equal(server.state.oauth.asked[1].state, signingIn.state);
});

test('the worker stopped when the window is open and not written down yet: found again by its state', limit, async () => {
  const { options, page } = await begin();
  const { signingIn } = await stored(options, 'session');
  await options.evaluate((record) => chrome.storage.session.set({ signingIn: record }), { ...signingIn, phase: 'opening', tabId: null });
  await stop(options);
  await openPopup(browser);
  await until(async () => (await stored(options, 'session')).signingIn.tabId === signingIn.tabId);
  assert.equal(windows().length, 1);
  await allow(page);
  await saysAccount(options);
});

test('older than a quarter of an hour: dropped, with a sentence', limit, async () => {
  const { options, page } = await begin();
  const { signingIn } = await stored(options, 'session');
  const change = (record) => options.evaluate((one) => chrome.storage.session.set({ signingIn: one }), record);
  await change({ ...signingIn, startedAt: Date.now() - 14.5 * 60_000 });
  await stop(options);
  const popup = await openPopup(browser);
  await popup.waitForFunction(() => /window that has opened/.test(document.querySelector('#banner').textContent));
  assert.equal(page.isClosed(), false);
  await change({ ...signingIn, startedAt: Date.now() - 15.5 * 60_000 });
  await popup.close();
  await stop(options);
  await openPopup(browser);
  await isClosed(page);
  assert.match(await complaint(options), /took too long/);
  assert.deepEqual(sent(), []);
});

test('signing out, and pairing, put an open sign-in aside', limit, async () => {
  const first = await begin();
  await first.options.evaluate(() => chrome.runtime.sendMessage({ type: 'signOut' }));
  await isClosed(first.page);
  assert.equal((await stored(first.options, 'session')).signingIn, null);
  await first.options.close();
  const second = await begin();
  await pair(browser, { server: server.url, code: 'PAIRCODE' });
  await isClosed(second.page);
  await saysAccount(second.options);
  assert.deepEqual(sent(), []);
});

test('a server that the organisation has set', limit, async () => {
  const page = await browser.context.newPage();
  await page.addInitScript((address) => {
    if (globalThis.chrome?.storage?.managed) chrome.storage.managed.get = async () => ({ server: address });
  }, server.url);
  await page.goto(`chrome-extension://${browser.id}/options.html`);
  await page.waitForSelector('html.filled', { state: 'attached' });
  assert.equal(await page.inputValue('#server'), server.url);
  assert.equal(await page.getAttribute('#server', 'readonly'), '');
  const opened = browser.context.waitForEvent('page');
  await page.click('#sign-in');
  await allow(await opened);
  await saysAccount(page);
});

test('the popup signs in at the server it knows', limit, async () => {
  const popup = await openPopup(browser); // an earlier test has left the server's address and permission
  const opened = browser.context.waitForEvent('page');
  await popup.click('.banner.info button');
  await allow(await opened);
  await popup.waitForSelector('#device-row:not([hidden])');
});

test('ended by support, heard when the token is renewed: by whom, when and why; the reason is not on disk', limit, async () => {
  await signIn(browser, { server: server.url, act: allow });
  const [popup, options] = [await openPopup(browser), await openOptions(browser)];
  await popup.waitForSelector('#device-row:not([hidden])');
  await saysAccount(options);
  const at = new Date(Date.now() - 1000);
  Object.assign(server.state, { refresh: 'none', revokedBy: { by: 'support', reason: '<b>laptop</b> lost', at: at.toISOString() } });
  server.state.access.clear();
  server.dropSockets(); // the link says nothing
  await popup.evaluate(() => chrome.runtime.sendMessage({ type: 'me' }));
  const time = at.toLocaleTimeString('en-US', { hour: 'numeric', minute: '2-digit' });
  const day = at.toDateString() === new Date().toDateString() ? '' : `on ${at.toLocaleDateString('en-US', { day: 'numeric', month: 'long' })} `;
  for (const [page, box] of [[popup, '#banner'], [options, '#ended']]) {
    await page.waitForSelector(`${box} strong`);
    assert.match((await page.textContent(box)).replace(/\s/g, ' '), new RegExp(`^Signed out by support ${day}at ${time}Reason: <b>laptop</b> lost`));
  }
  assert.equal(await popup.isVisible('#work'), false);
  assert.deepEqual(Object.keys(await stored(options, 'local')).sort(), ['ended', 'settings']);
  assert.deepEqual((await stored(options, 'local')).ended, { by: 'support', at: at.toISOString() });
  await signIn(browser, { server: server.url, act: allow });
  await saysAccount(options);
  assert.equal(await options.isVisible('#ended'), false);
});

test('ended by the provider, heard over the link', limit, async () => {
  await signIn(browser, { server: server.url, act: allow });
  const [popup, options] = [await openPopup(browser), await openOptions(browser)];
  await until(() => [...server.state.sockets].some((socket) => socket.greeted));
  server.revoke('operator');
  await popup.waitForFunction(() => /Signed out by your provider .*Reason: laptop lost/.test(document.querySelector('#banner').textContent));
  await options.waitForSelector('#ended:not([hidden])');
  assert.match(await options.textContent('#ended'), /Signed out by your provider .*Reason: laptop lost/);
});

test('a renewal whose answer is lost is asked for again, with the same token', limit, async () => {
  await signIn(browser, { server: server.url, act: allow });
  const options = await openOptions(browser);
  await saysAccount(options);
  const token = server.state.refresh;
  server.state.access.clear();
  server.state.lostRefreshes = 1;
  const replies = await options.evaluate(() => Promise.all([1, 2, 3].map(() => chrome.runtime.sendMessage({ type: 'me' }))));
  assert.deepEqual(replies.map((reply) => reply.ok), [true, true, true]);
  const forms = server.state.requests.filter((one) => one.path === '/oauth/token').map((one) => new URLSearchParams(one.body)).filter((form) => form.get('grant_type') === 'refresh_token');
  assert.deepEqual(forms.map((form) => form.get('refresh_token')), [token, token]);
});

test('no host but the server was asked; verifier and tokens are nowhere on disk', limit, async () => {
  const netLog = `${browser.profile}-net.json`;
  const own = await launch({ profile: `${browser.profile}-kept`, args: [`--log-net-log=${netLog}`] });
  let verifier;
  try {
    await signIn(own, {
      server: server.url,
      act: async (page) => {
        await page.waitForSelector('#allow');
        const [worker] = own.context.serviceWorkers();
        ({ verifier } = (await worker.evaluate(() => chrome.storage.session.get('signingIn'))).signingIn);
        await allow(page);
      },
    });
    const popup = await openOwn(own, 'popup');
    await popup.waitForSelector('#device-row:not([hidden])');
    const page = await own.context.newPage();
    await page.goto(`${server.url}/oauth/done`);
    await page.evaluate(() => fetch('http://canary.invalid/').catch(() => null));
  } finally {
    await own.close();
  }
  const asked = await hostsInNetLog(netLog);
  assert.ok(asked.every(({ host, initiator }) => host !== '127.0.0.1:1' || !initiator.includes(own.id)));
  assert.deepEqual([...new Set(asked.map(({ host }) => host))].filter((host) => host !== '127.0.0.1:1').sort(), [new URL(server.url).host, 'canary.invalid'].sort());

  const [{ code, code_verifier: proof }] = sent();
  assert.equal(proof, verifier);
  const access = [...server.state.access].at(-1);
  assert.deepEqual(await searchProfile(own.profile, [verifier, access]), []);
  assert.ok((await searchProfile(own.profile, [server.state.refresh])).every((file) => file.startsWith('Default/Local Extension Settings/')));
  // The browser writes down the address of each page that was visited, also of the sign-in's: so a state, and a code that is used up.
  const visited = /^(?:Default\/History|segmentation_platform\/)/;
  assert.deepEqual((await searchProfile(own.profile, [code, server.state.oauth.asked[0].state])).filter((file) => !visited.test(file)), []);
  await rm(own.profile, { recursive: true, force: true });
  await rm(netLog, { force: true });
});
