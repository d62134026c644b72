// The service worker. It may be stopped and started at any moment, so every listener stands here at the top level and
// whatever must outlive it is in storage.ts.
import { reply, problemOf } from '../api/client.ts';
import { parseHistory, parseMe } from '../api/parse.ts';
import type { Call, Me } from '../api/types.ts';
import { problemSentence } from '../language.ts';
import { askerOf, mayAsk, newGesture, parseRequest } from '../messages.ts';
import type { DialOutcome, PageSettings, Reply, Request, Snapshot } from '../messages.ts';
import { isExcluded } from '../server-address.ts';
import { closeToPages, readEnded, readRegion, readSettings, readSignInFailure, readSigningIn, writeRegion } from '../storage.ts';
import * as board from './board.ts';
import { check, confirm, dial, dialUnattended, hangUp } from './dial.ts';
import * as link from './link.ts';
import { callOfNotice, followCall, showBadge, showRefusal, statusSentence } from './notices.ts';
import { authorized, isSignedIn, pair, signOut } from './session.ts';
import * as signIn from './sign-in.ts';
import { askTab, numbersInFront, registerScripts, selectionInFront, stepInFront } from './sites.ts';
import { sayer, uiTexts } from './tongue.ts';

const menuId = 'dial-selection';
const popups = new Set<chrome.runtime.Port>();
const clickedIn = new Map<string, { tabId: number; frameId: number }>(); // where a call was started; a lost one costs one sentence

link.configure({ popupOpen: () => popups.size > 0, changed: () => void tellPopups() });
board.watch((change) => {
  void tellPopups();
  void showBadge();
  if (change !== null) {
    void followCall(change, popups.size > 0);
    void tellPage(change.after);
  }
});
signIn.listen();
void closeToPages();
void signIn.resume();
void wake();

async function wake(): Promise<void> {
  await board.restore();
  await showBadge();
  if (board.liveCalls().length > 0) await link.tend();
}

async function snapshot(): Promise<Snapshot> {
  await board.restore();
  return {
    calls: board.shownCalls(), pending: board.pendingCall(), link: link.linkState(),
    signedIn: await isSignedIn(), signingIn: (await readSigningIn()) !== null, failed: await whyNotSignedIn(), ended: await readEnded(),
  };
}

async function whyNotSignedIn(): Promise<string | null> {
  const failure = await readSignInFailure();
  return failure === null ? null : problemSentence(await uiTexts(), failure.code, null);
}

/** Signed in, or out, by whatever way: what was known of calls is another's now. */
async function signInTurned(): Promise<void> {
  await board.restore();
  board.clear();
  link.close();
  await link.tend();
  await tellPopups();
}

async function tellPopups(): Promise<void> {
  if (popups.size === 0) return;
  const now = await snapshot();
  for (const port of popups) port.postMessage(now);
}

chrome.runtime.onConnect.addListener((port) => {
  if (port.name !== 'popup' || port.sender === undefined || askerOf(port.sender) !== 'own') return port.disconnect();
  popups.add(port);
  port.onDisconnect.addListener(() => {
    popups.delete(port);
    void link.tend();
  });
  void board.restore().then(() => link.tend()).then(tellPopups);
});

chrome.runtime.onMessage.addListener((message: unknown, sender, answer: (reply: Reply<unknown>) => void) => {
  const asker = askerOf(sender);
  if (asker === null) return false;
  void answerTo(message, asker, sender).then(answer);
  return true;
});

async function answerTo(message: unknown, asker: 'own' | 'page', sender: chrome.runtime.MessageSender): Promise<Reply<unknown>> {
  const say = await sayer();
  return reply(async () => {
    const request = parseRequest(message);
    if (request === null || !mayAsk(asker, request)) throw new Error('not for this sender');
    await board.restore();
    return handle(request, sender);
  }, say);
}

async function handle(request: Request, sender: chrome.runtime.MessageSender): Promise<unknown> {
  switch (request.type) {
    case 'page.settings':
      return pageSettings(sender);
    case 'page.dial':
      return dialFromPage(request, sender);
    case 'dial':
      return dial(request);
    case 'confirm':
      return confirm(request.gesture);
    case 'confirm.drop':
      board.setPending(null);
      return null;
    case 'hangUp':
      return hangUp(request.id);
    case 'check':
      return check(request.number);
    case 'history':
      return history(request.cursor);
    case 'me':
      return me();
    case 'pair':
      await pair(request.server, request.code);
      await signIn.drop();
      return me();
    case 'signIn':
      await signIn.begin(request.server);
      return null;
    case 'signOut':
      await signIn.drop();
      await signOut();
      return null;
    case 'settings.changed':
      await registerScripts();
      await makeMenu();
      return null;
    case 'tab.numbers':
      return numbersInFront();
    default:
      return request satisfies never;
  }
}

async function me(): Promise<Me> {
  const found = parseMe(await authorized({ method: 'GET', path: '/v1/me' }));
  if (found.tenant !== null) await writeRegion(found.tenant.region);
  return found;
}

async function history(cursor: string | null): Promise<unknown> {
  const query = cursor === null ? '?limit=20' : `?limit=20&cursor=${encodeURIComponent(cursor)}`;
  return parseHistory(await authorized({ method: 'GET', path: `/v1/history${query}` }));
}

async function pageSettings(sender: chrome.runtime.MessageSender): Promise<PageSettings> {
  const { excluded, leaveTel } = await readSettings();
  const t = await uiTexts();
  return {
    active: !isExcluded(hostOf(sender), excluded),
    leaveTel,
    region: (await readRegion()) ?? (await regionOnce()),
    texts: { call: t('pageCall', '$1'), calling: t('pageCalling'), none: t('pageNone'), gone: t('pageGone'), dismiss: t('dismiss') },
  };
}

async function regionOnce(): Promise<string> {
  try {
    return (await me()).tenant?.region ?? 'NL';
  } catch {
    return 'NL';
  }
}

function hostOf(sender: chrome.runtime.MessageSender): string {
  try {
    return new URL(sender.url ?? '').hostname;
  } catch {
    return '';
  }
}

async function dialFromPage(request: Extract<Request, { type: 'page.dial' }>, sender: chrome.runtime.MessageSender): Promise<DialOutcome> {
  const { excluded } = await readSettings();
  if (isExcluded(hostOf(sender), excluded)) throw new Error('an excluded site');
  const outcome = await dial(request);
  if (outcome.confirm) await openOwnWindow();
  const tabId = sender.tab?.id;
  if (outcome.callId === null || tabId === undefined) return outcome;
  clickedIn.set(outcome.callId, { tabId, frameId: sender.frameId ?? 0 });
  const call = board.find(outcome.callId);
  if (call !== null && !board.isLive(call)) setTimeout(() => void tellPage(call), 500); // it ended before its answer came; said after "pick up"
  return outcome;
}

/** A call that ended otherwise than by hanging up is told where it was clicked. */
async function tellPage(call: Call): Promise<void> {
  const place = clickedIn.get(call.id);
  if (place === undefined || board.isLive(call)) return;
  clickedIn.delete(call.id);
  if (call.reason === 'hangUp' || call.reason === 'callerAbandon') return;
  const t = await uiTexts();
  await askTab(place.tabId, { type: 'call.said', sentence: call.diagnosis?.sentence || statusSentence(t, call), bad: true }, place.frameId);
}

/** Our own surface for a second gesture: the popup where the browser allows it, else a small window. */
async function openOwnWindow(): Promise<void> {
  if (popups.size > 0) return;
  try {
    await chrome.action.openPopup();
  } catch {
    await chrome.windows.create({ url: chrome.runtime.getURL('popup.html'), type: 'popup', width: 420, height: 640 });
  }
}

async function tellOutcome(outcome: DialOutcome): Promise<void> {
  if (outcome.confirm) await openOwnWindow();
  else if (!outcome.started) await showRefusal(outcome.sentence);
}

async function makeMenu(): Promise<void> {
  const t = await uiTexts();
  await chrome.contextMenus.removeAll();
  chrome.contextMenus.create({ id: menuId, title: t('menuDial'), contexts: ['selection'] }, () => void chrome.runtime.lastError); // two at once: one wins
}

chrome.runtime.onInstalled.addListener((details) => {
  void makeMenu();
  void registerScripts();
  if (details.reason === 'install') void chrome.tabs.create({ url: chrome.runtime.getURL('welcome.html') });
});

chrome.runtime.onStartup.addListener(() => {
  void makeMenu();
  void registerScripts();
});

chrome.permissions.onAdded.addListener(() => void registerScripts());
chrome.permissions.onRemoved.addListener(() => void registerScripts());
chrome.storage.onChanged.addListener((changes, area) => {
  if (area === 'managed') void registerScripts();
  const { refresh } = changes;
  if (area === 'local' && refresh !== undefined && (refresh.oldValue === undefined) !== (refresh.newValue === undefined)) void signInTurned();
  else if ('signingIn' in changes || 'signInFailed' in changes || 'ended' in changes || 'endedReason' in changes) void tellPopups();
});

chrome.alarms.onAlarm.addListener((alarm) => {
  if (alarm.name === link.linkAlarm) void board.restore().then(() => link.tend());
  if (alarm.name === signIn.signInAlarm) void signIn.resume();
});

chrome.contextMenus.onClicked.addListener((info) => {
  if (info.menuItemId === menuId && info.selectionText !== undefined) void dialSelection(info.selectionText);
});

chrome.commands.onCommand.addListener((command) => {
  if (command === 'step-numbers') void stepInFront();
  if (command === 'dial-selection') void selectionInFront().then(dialSelection);
});

async function dialSelection(selection: string): Promise<void> {
  await board.restore();
  await dialUnattended(selection.trim(), newGesture(), tellOutcome);
}

chrome.notifications.onButtonClicked.addListener((noticeId) => {
  const id = callOfNotice(noticeId);
  if (id !== null) void board.restore().then(() => hangUp(id)).catch(async (error: unknown) => showRefusal((await sayer())(problemOf(error))));
});

chrome.notifications.onClicked.addListener((noticeId) => {
  chrome.notifications.clear(noticeId);
  void openOwnWindow();
});
