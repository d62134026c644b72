// Where the script that finds numbers runs: nowhere by itself, on chosen sites, or everywhere, as the user has chosen and
// the browser has permitted. Its style sheet is there from document_start; added later it would restyle the whole page.
import { isFields, text, textOrNull } from '../api/check.ts';
import type { FoundNumber, PageRequest } from '../messages.ts';
import { sitePatterns } from '../server-address.ts';
import { readSettings } from '../storage.ts';

const scriptId = 'numbers';
const files = { js: ['content.js'], css: ['marks.css'] };

/** Brings the registration in line with the settings and with what is permitted. */
export async function registerScripts(): Promise<void> {
  await navigator.locks.request('sites', async () => {
    const matches = await permittedMatches();
    const existing = await chrome.scripting.getRegisteredContentScripts({ ids: [scriptId] });
    if (matches.length === 0) {
      if (existing.length > 0) await chrome.scripting.unregisterContentScripts({ ids: [scriptId] });
      return;
    }
    const { excluded } = await readSettings();
    const script: chrome.scripting.RegisteredContentScript = {
      id: scriptId, ...files, matches, excludeMatches: sitePatterns(excluded), runAt: 'document_idle', allFrames: true, persistAcrossSessions: true,
    };
    if (existing.length > 0) await chrome.scripting.updateContentScripts([script]);
    else await chrome.scripting.registerContentScripts([script]);
  });
}

async function permittedMatches(): Promise<string[]> {
  const { mode, sites } = await readSettings();
  const wanted = mode === 'everywhere' ? ['http://*/*', 'https://*/*'] : mode === 'chosen' ? sitePatterns(sites) : [];
  const permitted: string[] = [];
  for (const pattern of wanted) {
    if (await chrome.permissions.contains({ origins: [pattern] })) permitted.push(pattern);
  }
  return permitted;
}

/** The page in front; where our own page is (the popup as a tab or a window), the page that was in front before it. */
async function activeTab(): Promise<number | null> {
  const [tab] = await chrome.tabs.query({ active: true, lastFocusedWindow: true });
  // Not by the tab's address: Chromium 148 tells that of a tab of our own as little as that of any other.
  const own = await chrome.runtime.getContexts({ contextTypes: [chrome.runtime.ContextType.TAB] });
  if (!own.some((one) => one.tabId === tab?.id)) return tab?.id ?? null;
  const pages = (await chrome.tabs.query({})).filter((one) => one.url !== undefined && /^https?:/.test(one.url));
  return pages.sort((a, b) => (b.lastAccessed ?? 0) - (a.lastAccessed ?? 0))[0]?.id ?? null;
}

/** Starts the script in one tab, after a click on our icon (activeTab) or where the site is permitted. */
async function startIn(tabId: number): Promise<boolean> {
  try {
    await chrome.scripting.insertCSS({ target: { tabId }, files: files.css });
    await chrome.scripting.executeScript({ target: { tabId }, files: files.js });
    return true;
  } catch {
    return false; // a page that no extension may read
  }
}

export async function askTab(tabId: number, request: PageRequest, frameId = 0): Promise<unknown> {
  try {
    const answer: unknown = await chrome.tabs.sendMessage(tabId, request, { frameId });
    return answer ?? null;
  } catch {
    return null; // no script there
  }
}

/** Asks the page in front; where the script is not there yet, starts it first and gives it a moment. */
async function askFront(request: PageRequest): Promise<unknown> {
  const tabId = await activeTab();
  if (tabId === null) return null;
  const answer = await askTab(tabId, request);
  if (answer !== null || !(await startIn(tabId))) return answer;
  for (let tries = 0; tries < 15; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const later = await askTab(tabId, request);
    if (later !== null) return later;
  }
  return null;
}

/** The numbers of the page in front, for the popup's list. */
export async function numbersInFront(): Promise<FoundNumber[]> {
  return parseFound(await askFront({ type: 'numbers.list' }));
}

function parseFound(value: unknown): FoundNumber[] {
  if (!Array.isArray(value)) return [];
  const items: unknown[] = value;
  return items.filter(isFields).map((item) => ({ number: text(item, 'number'), display: text(item, 'display'), name: textOrNull(item, 'name') }));
}

/** The keyboard's way: goes to the next number of the page in front. */
export async function stepInFront(): Promise<void> {
  await askFront({ type: 'numbers.step' });
}

export async function selectionInFront(): Promise<string> {
  const tabId = await activeTab();
  if (tabId === null) return '';
  try {
    const [result] = await chrome.scripting.executeScript({ target: { tabId }, func: () => String(getSelection() ?? '') });
    return typeof result?.result === 'string' ? result.result : '';
  } catch {
    return '';
  }
}
