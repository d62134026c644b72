// The badge and the notification that follow a call started here. No number and no name in them unless the user chose so:
// systems keep notifications.
import type { Call } from '../api/types.ts';
import { reasonSentence } from '../language.ts';
import type { Translate } from '../language.ts';
import { readSettings } from '../storage.ts';
import * as board from './board.ts';
import { uiTexts } from './tongue.ts';

const prefix = 'call:';
const refusedId = 'refused';

export function callOfNotice(noticeId: string): string | null {
  return noticeId.startsWith(prefix) ? noticeId.slice(prefix.length) : null;
}

/** One sentence about where a call is. */
export function statusSentence(t: Translate, call: Call): string {
  switch (call.status) {
    case 'initiating':
      return t('statusInitiating');
    case 'callingCaller':
      return t('pickUp');
    case 'callingCallee':
      return t('statusCallingCallee');
    case 'connected':
      return t('statusConnected');
    case 'disconnected':
      return reasonSentence(t, call.reason) ?? t('statusEnded');
    case 'failed':
      return t('statusFailed');
    default:
      return call.status satisfies never;
  }
}

export async function showBadge(): Promise<void> {
  const call = board.liveCalls()[0];
  const t = await uiTexts();
  if (call === undefined) {
    await chrome.action.setBadgeText({ text: '' });
    await chrome.action.setTitle({ title: t('appName') });
    return;
  }
  const up = call.status === 'connected';
  await chrome.action.setBadgeText({ text: up ? '●' : '…' });
  await chrome.action.setBadgeTextColor({ color: '#ffffff' });
  await chrome.action.setBadgeBackgroundColor({ color: up ? '#1a7f4b' : '#b45309' });
  await chrome.action.setTitle({ title: `${t('appName')}: ${statusSentence(t, call)}` });
}

function notice(id: string, title: string, message: string, buttons: { title: string }[], stays: boolean): void {
  chrome.notifications.create(id, {
    type: 'basic', iconUrl: chrome.runtime.getURL('icons/128.png'), title, message, buttons, silent: true, requireInteraction: stays,
  }, () => void chrome.runtime.lastError); // a system without notifications is no reason to fail a call
}

/** Follows one step of a call. Nothing when its state did not change, or when somebody is looking at the popup. */
export async function followCall(change: { before: Call | null; after: Call }, popupOpen: boolean): Promise<void> {
  const { before, after } = change;
  if (!board.isOurs(after.id) || before?.status === after.status) return;
  if (popupOpen) {
    chrome.notifications.clear(prefix + after.id);
    return;
  }
  const t = await uiTexts();
  const { showNumbers } = await readSettings();
  const who = showNumbers && !after.private ? [after.name, after.display].filter((part) => part !== null && part !== '').join(' · ') : '';
  const live = board.isLive(after);
  const buttons = live && after.can.hangUp ? [{ title: t('hangUp') }] : [];
  notice(prefix + after.id, who === '' ? t('notifyTitle') : who, statusSentence(t, after), buttons, live);
  if (!live && after.reason === 'hangUp') chrome.notifications.clear(prefix + after.id);
}

export async function showRefusal(sentence: string): Promise<void> {
  const t = await uiTexts();
  notice(refusedId, t('notifyRefused'), sentence, [], false);
}
