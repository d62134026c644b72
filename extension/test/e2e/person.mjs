// A person at a browser: the extension in a real Chromium, signed in by its options page, a page with numbers in front, and
// the popup (as a tab). Everything is done with real mouse events, and what the popup shows is written down as it changes.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtExtension, clickNumber, findEverywhere, launch, openPopup, pair, pointAt, waitForMarks } from '../browser.mjs';
import { inTime } from './record.mjs';
import { later } from './tidy.mjs';

/** The extension that is tried: the one that scripts/test has built. */
export const extension = process.env.CTD_EXTENSION || builtExtension;

/** Signs in with a pairing code and opens the demo page. `profile` and `netLog` outlive close(), to be searched. */
export async function sitDown({ url, code, ...look }) {
  const folder = await mkdtemp(join(tmpdir(), 'ctd-e2e-browser-'));
  later(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const [profile, netLog] = [join(folder, 'profile'), join(folder, 'net.json')];
  const browser = await inTime(launch({ extension, profile, args: ['--lang=en-US', `--log-net-log=${netLog}`], ...look }), 'Chromium to start');
  later(() => browser.close());
  await inTime(pair(browser, { server: url, code }), 'the extension to be paired');
  await inTime(findEverywhere(browser, { language: 'en' }), 'numbers to be found everywhere');
  const popup = await inTime(openPopup(browser), 'the popup');
  await popup.waitForSelector('#device-row:not([hidden])');
  await popup.evaluate(writeDown);
  const page = await browser.context.newPage();
  await page.goto(`${url}/demo`);
  await waitForMarks(page, 5);
  return new Person({ browser, popup, page, profile, netLog });
}

/** In the popup: notes each state of each call's card, with all that it says. */
function writeDown() {
  globalThis.shown = [];
  const note = () => {
    for (const card of document.querySelectorAll('#live [data-call]')) {
      const { call: id, status } = card.dataset;
      const text = (selector) => card.querySelector(selector)?.textContent ?? null;
      if (globalThis.shown.findLast((one) => one.id === id)?.status === status) continue;
      const legs = [...card.querySelectorAll('.how')].map((one) => one.textContent);
      globalThis.shown.push({ id, status, headline: text('.headline'), party: text('.party'), legs });
    }
  };
  new MutationObserver(note).observe(document.querySelector('#live'), { childList: true, subtree: true });
}

class Person {
  #closed = null;

  constructor(parts) {
    Object.assign(this, parts);
  }

  /** Chooses in the popup which phone rings. */
  async choosePhone(deviceId) {
    await this.popup.bringToFront();
    await this.popup.selectOption('#device', deviceId);
    // Asked from here: waitForFunction takes the promise of an async function for its answer.
    const chosen = () => this.popup.evaluate(async () => {
      const { settings } = await chrome.storage.local.get('settings');
      return settings.deviceId ?? document.querySelector('#device').options[0].value; // null: the first
    });
    for (const deadline = Date.now() + 5000; await chosen() !== deviceId;) {
      if (Date.now() > deadline) throw new Error('the popup does not keep the chosen phone');
    }
  }

  /** Points at a number, presses the button beside it, then looks at the popup. */
  async click(text) {
    await this.page.bringToFront();
    await clickNumber(this.page, text);
    await this.popup.bringToFront();
  }

  /** Presses the button beside a number twice, as fast as a double click. */
  async clickTwice(text) {
    await this.page.bringToFront();
    const spot = await pointAt(this.page, text);
    await this.page.mouse.move(spot.x, spot.y, { steps: 4 });
    await this.page.waitForTimeout(300); // a button that has just appeared takes no click
    await this.page.mouse.dblclick(spot.x, spot.y);
    await this.popup.bringToFront();
  }

  /** What the card of a call has said, state by state, once it says `status`. */
  async showed(id, status) {
    await this.popup.waitForFunction(([call, wanted]) => globalThis.shown.some((one) => one.id === call && one.status === wanted), [id, status]);
    return this.popup.evaluate((call) => globalThis.shown.filter((one) => one.id === call), id);
  }

  async hangUp(id) {
    await this.popup.click(`#live [data-call="${id}"] button.danger`);
  }

  /** The newest row of the history, once there are `count`. */
  async newestRow(count) {
    await this.popup.waitForFunction((wanted) => document.querySelectorAll('#history .row').length === wanted, count);
    return this.popup.$eval('#history .row', (row) => ({
      who: row.querySelector('.row-who').textContent,
      detail: row.querySelector('.row-detail').textContent,
      again: row.querySelector('button').getAttribute('aria-label'),
    }));
  }

  /** Closes the browser as a person does, so that all it writes is on disk. */
  close() {
    this.#closed ??= this.browser.context.close();
    return this.#closed;
  }
}
