// Everything that our parts say to each other: one union a direction, and the checks at the door. A content script lives
// beside a page, so it may only ask what begins with `page.`.
import { isFields, text, textOrNull } from './api/check.ts';
import type { Fields } from './api/check.ts';
import type { Call, Ended, HistoryPage, Me, NumberCheck } from './api/types.ts';
import type { Pending } from './storage.ts';

export type Request =
  | { type: 'page.settings' }
  | { type: 'page.dial'; number: string; name: string | null; gesture: string }
  | { type: 'dial'; number: string; name: string | null; gesture: string }
  | { type: 'confirm'; gesture: string }
  | { type: 'confirm.drop' }
  | { type: 'hangUp'; id: string }
  | { type: 'check'; number: string }
  | { type: 'history'; cursor: string | null }
  | { type: 'me' }
  | { type: 'pair'; server: string; code: string }
  | { type: 'signIn'; server: string }
  | { type: 'signOut' }
  | { type: 'settings.changed' }
  | { type: 'tab.numbers' };

export interface PageSettings {
  active: boolean;
  leaveTel: boolean;
  region: string;
  texts: { call: string; calling: string; none: string; gone: string; dismiss: string };
}

/** What became of a click: said on the page, in the user's language. */
export interface DialOutcome {
  started: boolean;
  confirm: boolean; // a second gesture is asked for, in our own window
  sentence: string;
  callId: string | null;
}

export interface FoundNumber {
  number: string; // as it is dialled
  display: string;
  name: string | null;
}

export interface Answers {
  'page.settings': PageSettings;
  'page.dial': DialOutcome;
  dial: DialOutcome;
  confirm: DialOutcome;
  'confirm.drop': null;
  hangUp: null;
  check: NumberCheck;
  history: HistoryPage;
  me: Me;
  pair: Me;
  signIn: null; // its window is open; what becomes of it is told by storage and snapshots
  signOut: null;
  'settings.changed': null;
  'tab.numbers': FoundNumber[];
}

export interface Failure {
  code: string;
  sentence: string;
}

export type Reply<T> = { ok: true; value: T } | { ok: false; failure: Failure };

/** The worker to the script in a page. */
export type PageRequest = { type: 'numbers.list' } | { type: 'numbers.step' } | { type: 'call.said'; sentence: string; bad: boolean };

/** The worker to an open popup, over a port named 'popup'. */
export interface Snapshot {
  calls: Call[];
  pending: Pending | null;
  link: 'closed' | 'connecting' | 'open' | 'down';
  signedIn: boolean;
  signingIn: boolean;
  failed: string | null; // why the last attempt to sign in came to nothing, in a sentence
  ended: Ended | null;
}

const gesturePattern = /^[A-Za-z0-9_-]{16,64}$/;
const longestNumber = 200; // what a page may hand us at most; the server decides what is a number
const longestName = 100;
const longestServer = 300;

function gesture(of: Fields): string | null {
  const value = of['gesture'];
  return typeof value === 'string' && gesturePattern.test(value) ? value : null;
}

/** Null for what is none of our messages. */
export function parseRequest(value: unknown): Request | null {
  if (!isFields(value)) return null;
  switch (value['type']) {
    case 'page.settings':
    case 'me':
    case 'signOut':
    case 'settings.changed':
    case 'tab.numbers':
    case 'confirm.drop':
      return { type: value['type'] };
    case 'page.dial':
    case 'dial': {
      const key = gesture(value);
      const number = text(value, 'number');
      if (key === null || number.length > longestNumber) return null;
      return { type: value['type'], number, name: textOrNull(value, 'name')?.slice(0, longestName) ?? null, gesture: key };
    }
    case 'confirm': {
      const key = gesture(value);
      return key === null ? null : { type: 'confirm', gesture: key };
    }
    case 'hangUp':
      return { type: 'hangUp', id: text(value, 'id') };
    case 'check':
      return { type: 'check', number: text(value, 'number') };
    case 'history':
      return { type: 'history', cursor: textOrNull(value, 'cursor') };
    case 'pair':
      return { type: 'pair', server: text(value, 'server'), code: text(value, 'code') };
    case 'signIn': {
      const server = text(value, 'server');
      return server.length > longestServer ? null : { type: 'signIn', server };
    }
    default:
      return null;
  }
}

/** Who asks: one of our own pages, a content script, or nobody we know. */
export function askerOf(sender: chrome.runtime.MessageSender): 'own' | 'page' | null {
  if (sender.id !== chrome.runtime.id) return null;
  if (sender.url !== undefined && sender.url.startsWith(chrome.runtime.getURL(''))) return 'own';
  return sender.tab === undefined ? null : 'page';
}

export function mayAsk(asker: 'own' | 'page', request: Request): boolean {
  return asker === 'page' ? request.type.startsWith('page.') : !request.type.startsWith('page.');
}

/** Asks the worker. Rejects only when the extension was updated under a page's feet. */
export async function ask<K extends keyof Answers>(request: Extract<Request, { type: K }>): Promise<Reply<Answers[K]>> {
  const answer: unknown = await chrome.runtime.sendMessage(request);
  return parseReply<Answers[K]>(answer);
}

function parseReply<T>(answer: unknown): Reply<T> {
  if (!isFields(answer)) return { ok: false, failure: { code: 'extension', sentence: '' } };
  return answer as Reply<T>; // our own worker, of the same build, wrote it: onMessage hears nobody else
}

/** A key for one gesture. crypto.randomUUID is missing on http pages, getRandomValues is not. */
export function newGesture(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
