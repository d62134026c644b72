// Opens Chromium on the demo page with the built extension, signed in, in a throw-away profile. For scripts/run --browser;
// what a person would do there is done by the helpers of the browser tests. Without a display it makes a call out of
// sight and leaves two pictures.
//
// CTD_URL, CTD_PAIRING_CODE, CTD_PROFILE (a folder, removed first), CTD_PICTURES (a folder), CHROMIUM
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { clickNumber, findEverywhere, launch, openPopup, pair, waitForMarks, waitForStatus } from '../../extension/test/browser.mjs';

const { CTD_URL: server, CTD_PAIRING_CODE: code, CTD_PROFILE: profile, CTD_PICTURES: pictures } = process.env;
const display = process.platform === 'darwin' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
const number = '020 123 4567'; // as the demo page writes it; practice and laboratory both answer it

await rm(profile, { recursive: true, force: true });
await mkdir(profile, { recursive: true, mode: 0o700 });
const browser = await launch({ profile, headless: !display });
await pair(browser, { server, code });
await findEverywhere(browser);

const demo = await browser.context.newPage();
await demo.goto(`${server}/demo`);
await waitForMarks(demo);

if (display) {
  for (const page of browser.context.pages()) if (page !== demo) await page.close();
  console.log('Chromium is open on the demo page: point at a number and press its button.');
  await new Promise((closed) => browser.context.on('close', closed));
} else {
  await clickNumber(demo, number);
  const popup = await openPopup(browser);
  await waitForStatus(popup, 'connected', 60_000);
  await popup.screenshot({ path: join(pictures, 'popup.png') });
  await demo.bringToFront();
  await demo.screenshot({ path: join(pictures, 'demo.png') });
  await browser.close();
  console.log(`No display here, so Chromium made a call out of sight: ${join(pictures, 'demo.png')} and popup.png show it.`);
}
process.exit(0);
