// The README's picture, docs/click.png: the demo page with the button beside a number, and the popup during the call that it
// started. Real screens of the real parts, on the built-in practice PBX. npm run picture (wants what the tests want).
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pointAt } from '../browser.mjs';
import { signIn } from './api.mjs';
import { root } from './lab.mjs';
import { sitDown } from './person.mjs';
import { startServer } from './server.mjs';
import { tidyUp } from './tidy.mjs';

const email = 'jo@demo.example';
const scale = 1.3; // device pixels to a pixel: small text stays crisp
const out = join(root, 'docs', 'click.png');

/** A picture of a page at `width`, down to the end of `last`. */
async function shoot({ browser }, page, { width, last, below }) {
  const lens = await browser.context.newCDPSession(page);
  const see = (height) => lens.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: scale, mobile: false });
  await page.bringToFront();
  await see(600);
  await see(Math.ceil(await page.$eval(last, (one) => one.getBoundingClientRect().bottom)) + below);
  return async () => {
    const { data } = await lens.send('Page.captureScreenshot', { format: 'png' });
    return `data:image/png;base64,${data}`;
  };
}

async function take() {
  const server = await startServer({ pbxUrl: 'practice://?ring=200ms&talk=60s', ringSeconds: 25 });
  server.addUser(email);
  server.addPhone(email, { label: 'Desk phone', endpoint: '101', callerId: '+31201112233' });
  const api = await signIn(server, email);
  const live = await api.live();
  for (const [number, name] of [['0201230000', 'Mrs Jansen'], ['0201239876', 'Workshop'], ['0201231111', 'Garage Van Dijk']]) { // what the history shows
    const { body: call } = await api.dial({ number, name });
    await live.next((one) => one.call?.id === call.id && one.call.status === (number.endsWith('9876') ? 'connected' : 'callingCallee'), 'a call to get on');
    if (number.endsWith('9876')) await new Promise((resolve) => setTimeout(resolve, 4100)); // a talk
    if (!number.endsWith('1111')) await api.ask('DELETE', `/v1/calls/${call.id}`);
    await live.next((one) => one.call?.id === call.id && one.call.endedAt !== null, 'a call to end');
  }

  const person = await sitDown({ url: server.url, code: server.pairingCode(email) });
  await person.click('020 123 4567');
  await person.popup.waitForSelector('#live [data-status="connected"]');
  await person.popup.waitForFunction(() => / \(in use\)/.test(document.querySelector('#device').textContent)); // it looks each 15 s
  const popup = await (await shoot(person, person.popup, { width: 380, last: '#history-note', below: 14 }))();
  const shootPage = await shoot(person, person.page, { width: 660, last: '#shapes', below: 20 });
  await pointAt(person.page, '020 123 4567');
  await person.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const page = await shootPage();
  return compose(person.browser.context, page, popup);
}

/** Side by side, pixel for pixel. */
async function compose(context, page, popup) {
  const sheet = await context.newPage();
  await sheet.setViewportSize({ width: 1520, height: 900 });
  await sheet.setContent(`<!doctype html><style>
    body { margin: 0; background: #e4ecea; }
    #both { display: inline-flex; gap: 32px; padding: 32px; align-items: center; }
    img { display: block; border-radius: 14px; box-shadow: 0 2px 6px rgb(0 0 0 / .12), 0 14px 40px rgb(0 0 0 / .16); }
  </style><div id="both"><img src="${page}"><img src="${popup}"></div>`);
  await sheet.waitForFunction(() => [...document.images].every((one) => one.complete));
  mkdirSync(join(root, 'docs'), { recursive: true });
  await sheet.locator('#both').screenshot({ path: out });
}

try {
  await take();
  console.log(`${out}: ${Math.round(readFileSync(out).length / 1024)} kB`);
} finally {
  await tidyUp();
}
