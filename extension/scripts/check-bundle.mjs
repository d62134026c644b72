// Searches the built extension for what it must never hold: a call of the synchronised storage, a way to run text
// as code or as HTML, and the address of anybody. It exits 1 with a list of what it found.
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');

const forbidden = [
  ['synchronised storage', /storage\s*(?:\.|\?\.|\[\s*["'`])\s*sync\b/],
  ['HTML from text', /\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write(?:ln)?|createContextualFragment|setHTMLUnsafe)\b/],
  ['code from text', /\beval\s*\(|\bnew\s+Function\b|\bFunction\s*\(\s*["'`]/],
  ['a frame or a picture from elsewhere', /<(?:iframe|embed|object)\b/i],
  ['launchWebAuthFlow', /launchWebAuthFlow/],
];
// Addresses of namespaces and examples that are never fetched.
const harmless = new Set(['http://*/*', 'https://*/*', 'http://', 'https://', 'ws://', 'wss://']);

async function* files(folder) {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (/\.(?:js|html|css|json)$/.test(entry.name)) yield path;
  }
}

const found = [];
let looked = 0;
for await (const path of files(dist)) {
  looked += 1;
  const text = await readFile(path, 'utf8');
  const name = relative(dist, path);
  for (const [what, pattern] of forbidden) {
    const hit = pattern.exec(text);
    if (hit) found.push(`${name}: ${what}: ${text.slice(Math.max(0, hit.index - 30), hit.index + 50)}`);
  }
  for (const [address] of text.matchAll(/\b(?:https?|wss?):\/\/[^\s"'`<>)\\]*/gi)) {
    if (harmless.has(address) || /^(?:https?|wss?):\/\/(?:\*\.)?\$\{/.test(address)) continue; // made from what the user typed
    found.push(`${name}: an address: ${address}`);
  }
  for (const [address] of text.matchAll(/(?:src|href|url\(|@import)\s*=?\s*["']?\/\/[a-z0-9.-]+/gi)) {
    found.push(`${name}: an address: ${address}`);
  }
}
if (looked === 0) found.push('dist is empty: build first');
if (found.length > 0) {
  console.error(found.join('\n'));
  process.exit(1);
}
console.log(`${looked} files: no synchronised storage, no HTML or code from text, no address`);
