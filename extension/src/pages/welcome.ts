// The page after the installation: three plain steps.
import { readRefresh } from '../storage.ts';
import { byId, speak } from './dom.ts';

await speak();
const start = byId('start', HTMLButtonElement);
const done = byId('done', HTMLElement);

start.addEventListener('click', () => void chrome.runtime.openOptionsPage());

async function draw(): Promise<void> {
  done.hidden = (await readRefresh()) === null;
}
await draw();
chrome.storage.local.onChanged.addListener(() => void draw());
