// A person at the console: the server's own pages in a real Chromium that runs no script, used by mouse and keyboard.
import { createHmac } from 'node:crypto';
import { chromium } from 'playwright-core';
import { quiet } from '../browser.mjs';
import { later } from './tidy.mjs';

/** A browser without scripts, and without the extension. */
export async function openDesk({ colorScheme = 'light', locale = 'en-GB', viewport = { width: 1000, height: 900 } } = {}) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: quiet });
  later(() => browser.close());
  const context = await browser.newContext({ javaScriptEnabled: false, colorScheme, locale, viewport });
  return context.newPage();
}

/** The code that an authenticator app shows (RFC 6238, 30 s steps, SHA-1, six digits). `step` 1 is the next one. */
export function totp(secret, step = 0) {
  const bits = [...secret.replace(/[\s=]/g, '')].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + step));
  const mac = createHmac('sha1', key).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 0x0f) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

export async function signInAt(page, url, email, password) {
  await page.goto(`${url}/console/sign-in`);
  await typePassword(page, email, password);
}

/** On the sign-in page, however one came there: the e-mail, then the password on a page of its own. */
export async function typePassword(page, email, password) {
  await page.fill('input[type=email]', email);
  await page.click('main button.primary');
  await page.fill('input[type=password]', password);
  await page.click('main button.primary');
}

/** Sets a second factor up, on the page that asks for one; gives its secret. */
export async function enrol(page) {
  const secret = (await page.textContent('code.secret')).trim();
  await page.fill('input.code', totp(secret));
  await page.click('main button.primary');
  return secret;
}
