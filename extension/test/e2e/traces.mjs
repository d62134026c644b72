// What a call leaves where it may leave nothing: the server's log, the browser's profile, and what went over the network.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { searchProfile } from '../browser.mjs';

/** All the ways in which a Dutch number (0201234567) may be written. */
export function formsOf(national) {
  const rest = national.slice(1);
  const groups = national.startsWith('06') ? [rest.slice(0, 1), rest.slice(1)] : [rest.slice(0, 2), rest.slice(2)];
  const spaced = `${groups[0]} ${groups[1].slice(0, 3)} ${groups[1].slice(3)}`;
  return [rest, groups.join('-'), groups.join(' '), spaced, spaced.replaceAll(' ', '-'), spaced.replaceAll(' ', '\u00a0'), spaced.replaceAll(' ', '%20')];
}

export function assertNotInLog(log, nationals, names) {
  assert.ok(log.includes('"serving"'), 'the log is there');
  const digits = log.replace(/[\s().\-\u00a0]|%20/g, '');
  for (const national of nationals) {
    for (const form of formsOf(national)) assert.ok(!log.includes(form), `the log holds ${form}`);
    assert.ok(!digits.includes(national.slice(1)), `the log holds ${national}, in pieces`);
  }
  for (const name of names) assert.ok(!log.includes(name), `the log holds the name ${name}`);
}

/**
 * Of a browser that is closed: what was dialled, in any form, is in no file of its profile. Left out are forms that the
 * extension's own texts hold as an example, because the browser caches its scripts.
 */
export async function assertNotOnDisk(profile, extension, nationals, names) {
  const own = readdirSync(extension).filter((name) => name.endsWith('.js')).map((name) => readFileSync(join(extension, name), 'utf8')).join();
  const wanted = [...nationals.flatMap(formsOf), ...names].filter((text) => !own.includes(text));
  for (const text of wanted) assert.deepEqual(await searchProfile(profile, [text]), [], `on disk: ${text}`);
}

/** The hosts that anything in the browser asked for. Port 1 is where browser.mjs sends what the browser would ask its vendor. */
export async function hostsAsked(netLog) {
  const text = await readFile(netLog, 'utf8');
  const { constants, events } = parse(text);
  const started = constants.logEventTypes.URL_REQUEST_START_JOB;
  const urls = events.filter((one) => one.type === started && typeof one.params?.url === 'string').map((one) => new URL(one.params.url));
  return [...new Set(urls.filter((url) => /^(https?|wss?):$/.test(url.protocol) && url.host !== '127.0.0.1:1').map((url) => url.host))].sort();
}

function parse(text) { // a browser that was killed leaves it open
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(`${text.trimEnd().replace(/,$/, '')}]}`);
  }
}
