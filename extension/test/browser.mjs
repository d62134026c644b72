// Drives the built extension in a real Chromium. For our own browser tests, and for the end-to-end tests against the real
// server: nothing here knows which server it is.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const builtExtension = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
export const extensionId = 'ifljkkapdefhgbhddhknocdeankdocim';

export const quiet = [
  '--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic',
  '--no-first-run', '--no-default-browser-check', '--disable-domain-reliability', '--no-pings',
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
  '--gaia-url=http://127.0.0.1:1', '--gcm-checkin-url=http://127.0.0.1:1', '--gcm-registration-url=http://127.0.0.1:1',
  '--google-apis-url=http://127.0.0.1:1', '--component-updater=url-source=http://127.0.0.1:1',
  '--disable-features=AutofillServerCommunication,OptimizationHints,MediaRouter,DialMediaRouteProvider,Translate,NetworkTimeServiceQuerying,AimEnabled,AimServerEligibilityEnabled',
];

/**
 * Starts Chromium with the extension and a profile of its own. `args` are added; `profile` keeps the folder of an earlier run.
 * Gives { context, worker, id, profile, close }; close() removes the profile unless it was given.
 */
export async function launch({ extension = builtExtension, profile, headless = true, args = [], colorScheme = 'light', viewport = { width: 1000, height: 700 }, executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium' } = {}) {
  const folder = profile ?? (await mkdtemp(join(tmpdir(), 'ctd-chromium-')));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath, headless, colorScheme, viewport,
    args: [...quiet, ...args, `--disable-extensions-except=${extension}`, `--load-extension=${extension}`],
  });
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
  const id = new URL(worker.url()).host;
  return {
    context, worker, id, profile: folder,
    close: async () => {
      await context.close();
      if (profile === undefined) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Lets a later permissions.request for these patterns be granted at once, on a real click. */
export async function allowHosts({ context, id }, patterns) {
  const page = await context.newPage();
  await page.goto('chrome://extensions');
  for (const pattern of patterns) {
    await page.evaluate(([extension, host]) => chrome.developerPrivate.addHostPermission(extension, host), [id, pattern]);
  }
  await page.close();
}

export async function openOwn({ context, id }, name) {
  const page = await context.newPage();
  await page.goto(`chrome-extension://${id}/${name}.html`);
  await page.waitForSelector(name === 'options' ? 'html.filled' : 'html.ready', { state: 'attached' });
  return page;
}

export const openPopup = (browser) => openOwn(browser, 'popup');
export const openOptions = (browser) => openOwn(browser, 'options');

/** Signs in as a person does: the server's address and a pairing code on the options page. */
export async function pair(browser, { server, code }) {
  await allowHosts(browser, [`${new URL(server).protocol}//${new URL(server).hostname}/*`]);
  const page = await openOptions(browser);
  await page.fill('#server', server);
  await page.fill('#code', code);
  await page.click('#connect');
  await page.waitForSelector('#account:not([hidden]), #account-said.bad');
  const refused = await page.$('#account-said.bad');
  const said = refused === null ? '' : await refused.textContent();
  await page.close();
  if (said !== '') throw new Error(`pairing: ${said}`);
}

/**
 * Signs in as a person does, in the server's own window: presses the button on the options page, hands that window's page to
 * `act` (which signs in there and says yes), and waits for the options page to say who is signed in. Throws with the
 * sentence that is shown when it came to nothing.
 */
export async function signIn(browser, { server, act }) {
  const { options, page } = await openSignIn(browser, server);
  await act(page);
  await options.waitForSelector('#account:not([hidden]), #account-said.bad');
  const refused = await options.$('#account-said.bad');
  const said = refused === null ? '' : await refused.textContent();
  await options.close();
  if (said !== '') throw new Error(`signing in: ${said}`);
}

/** The first half of it: { options, page }, both open. */
export async function openSignIn(browser, server) {
  await allowHosts(browser, [`${new URL(server).protocol}//${new URL(server).hostname}/*`]);
  const options = await openOptions(browser);
  await options.fill('#server', server);
  const opened = browser.context.waitForEvent('page', (page) => page !== options);
  await options.click('#sign-in');
  return { options, page: await opened };
}

/** Makes numbers clickable everywhere, as a person does, and waits until pages that open from now on have the script. */
export async function findEverywhere(browser, { leaveTel = false, excluded = '', language = 'auto' } = {}) {
  await allowHosts(browser, ['http://*/*', 'https://*/*']);
  const page = await openOptions(browser);
  await page.check('input[name="mode"][value="everywhere"]');
  await page.setChecked('#leave-tel', leaveTel);
  await page.fill('#excluded', excluded);
  await page.selectOption('#language', language);
  const saved = Promise.race([
    page.waitForFunction(() => document.querySelector('#choices-said').textContent !== ''),
    page.waitForEvent('framenavigated'), // another language: the page is made anew
  ]);
  await page.click('#save');
  await saved;
  // Asked from here: waitForFunction takes the promise of an async function for its answer.
  const registered = () => page.evaluate(async () => (await chrome.scripting.getRegisteredContentScripts()).length).catch(() => 0); // while it is
  for (const deadline = Date.now() + 10_000; await registered() !== 1;) {
    if (Date.now() > deadline) throw new Error('the script is not registered for pages');
  }
  await page.close();
}

/** Where on the page a text stands: the middle and the right edge of its last rectangle. */
export function placeOf(page, text) {
  return page.evaluate((wanted) => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const at = node.data.indexOf(wanted);
      if (at < 0) continue;
      node.parentElement.scrollIntoView({ block: 'center' });
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + wanted.length);
      const rect = [...range.getClientRects()].at(-1);
      return { x: rect.left + rect.width / 2, y: rect.top + rect.height / 2, right: rect.right };
    }
    return null;
  }, text);
}

/** Waits until the page's numbers are marked: `count` of them, or any. */
export function waitForMarks(page, count = 1) {
  return page.waitForFunction((wanted) => (CSS.highlights.get('click-to-dial')?.size ?? 0) >= wanted, count);
}

/** Points at a number in the page's text until its button is there. Gives the place of the button's middle. */
export async function pointAt(page, text) {
  const place = await placeOf(page, text);
  if (place === null) throw new Error('this text is not on the page');
  await page.mouse.move(place.x - 3, place.y);
  await page.mouse.move(place.x, place.y, { steps: 3 });
  const spot = { x: place.right + 24, y: place.y };
  // The shadow root is closed: from outside, its button is the host element, last in the body.
  await page.waitForFunction(([x, y]) => {
    const hit = document.elementFromPoint(x, y);
    return hit !== null && hit === document.body.lastElementChild && hit.childNodes.length === 0 && hit.localName === 'div';
  }, [spot.x, spot.y], { timeout: 5000 });
  return spot;
}

/** Dials as a person does: points at the number, moves to the button, and presses it. Every event is a trusted one. */
export async function clickNumber(page, text) {
  const spot = await pointAt(page, text);
  await page.mouse.move(spot.x, spot.y, { steps: 4 });
  await page.waitForTimeout(300); // a button that has just appeared takes no click
  await page.mouse.click(spot.x, spot.y);
}

/** The calls that the extension knows, as its own pages are told: a snapshot from the popup's own state. */
export async function callCards(popup) {
  return popup.$$eval('#live [data-call]', (cards) => cards.map((card) => ({
    id: card.dataset.call, status: card.dataset.status, headline: card.querySelector('.headline').textContent, clock: card.querySelector('.clock').textContent,
  })));
}

export function waitForStatus(popup, status, timeout = 15000) {
  return popup.waitForSelector(`#live [data-status="${status}"]`, { timeout });
}

/** Searches every file of a closed profile for texts (as UTF-8 and UTF-16). Gives the files that hold one. */
export async function searchProfile(profile, wanted) {
  const needles = wanted.flatMap((text) => [Buffer.from(text), Buffer.from(text, 'utf16le')]);
  const found = [];
  for (const entry of await readdir(profile, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.path, entry.name);
    const data = await readFile(path).catch(() => Buffer.alloc(0));
    if (needles.some((needle) => data.includes(needle))) found.push(path.slice(profile.length + 1));
  }
  return found;
}

/** Stops the service worker, as the browser does when it is idle. `own` is an open page of the extension. */
export async function stopWorker({ context }, own) {
  const session = await context.newCDPSession(own);
  await session.send('ServiceWorker.enable');
  await session.send('ServiceWorker.stopAllWorkers');
  await session.detach();
}

/**
 * The hosts that a browser asked for, out of its net log (args: ['--log-net-log=FILE']), after it was closed:
 * [{ host, initiator }], each pair once. A page of the test that fetches a canary must be in it, or the log is not whole.
 */
export async function hostsInNetLog(file) {
  let text = await readFile(file, 'utf8');
  if (!text.trimEnd().endsWith('}')) text = `${text.trimEnd().replace(/,$/, '')}]}`; // a browser that was killed leaves it open
  const log = JSON.parse(text);
  const start = log.constants.logEventTypes.URL_REQUEST_START_JOB;
  const seen = new Map();
  for (const { type, params } of log.events) {
    if (type !== start || params?.url === undefined || !/^(?:https?|wss?):/.test(params.url)) continue;
    const entry = { host: new URL(params.url).host, initiator: params.initiator ?? '' };
    seen.set(JSON.stringify(entry), entry);
  }
  return [...seen.values()];
}
