// The live link: a WebSocket to /v1/events, open only while a call is up or a popup is open. The server sends something
// every 20 s, which also keeps this worker alive; an alarm every 30 s reopens it after anything else.
import { problemOf } from '../api/client.ts';
import { Unexpected } from '../api/check.ts';
import { parseCall, parseStream } from '../api/parse.ts';
import type { StreamMessage } from '../api/types.ts';
import type { Snapshot } from '../messages.ts';
import * as board from './board.ts';
import { access, authorized, forgetRevoked } from './session.ts';

export const linkAlarm = 'link';
const silenceMs = 45_000; // two pings missed
const greetingMs = 5_000; // from the beginning of the handshake to the server's ready
const helloAgainMs = 60_000; // before the token's end

let socket: WebSocket | null = null;
let opening = false;
let state: Snapshot['link'] = 'closed';
let refused: string | null = null; // the token of a hello that was refused
let silence: ReturnType<typeof setTimeout> | undefined;
let renewal: ReturnType<typeof setTimeout> | undefined;
let wantedByPopup = (): boolean => false;
let told = (): void => undefined;

export function configure(options: { popupOpen: () => boolean; changed: () => void }): void {
  wantedByPopup = options.popupOpen;
  told = options.changed;
}

export function linkState(): Snapshot['link'] {
  return state;
}

function become(next: Snapshot['link']): void {
  if (state === next) return;
  state = next;
  told();
}

function isWanted(): boolean {
  return wantedByPopup() || board.liveCalls().length > 0;
}

/** Opens or closes the link as is needed now. */
export async function tend(): Promise<void> {
  board.sweep();
  if (!isWanted()) {
    close();
    // What has ended is still shown for a while, then it must go from memory, too.
    if (board.isEmpty()) await chrome.alarms.clear(linkAlarm);
    else await chrome.alarms.create(linkAlarm, { delayInMinutes: 1 });
    return;
  }
  await chrome.alarms.create(linkAlarm, { periodInMinutes: 0.5 });
  if (socket === null && !opening) await open();
}

export function close(): void {
  const old = socket;
  socket = null;
  clearTimeout(silence);
  clearTimeout(renewal);
  old?.close(1000);
  become('closed');
}

async function open(): Promise<void> {
  opening = true;
  if (state !== 'down') become('connecting');
  try {
    const token = await access(refused ?? undefined);
    if (!isWanted()) return become('closed');
    connect(token);
  } catch (error) {
    become(problemOf(error).code === 'server-unreachable' ? 'down' : 'closed');
    told();
  } finally {
    opening = false;
  }
}

function connect(token: { server: string; token: string; expiresAt: number }): void {
  const fresh = new WebSocket(`${token.server.replace(/^http/, 'ws')}/v1/events`);
  socket = fresh;
  // A handshake that hangs says nothing at all, and while it stands no other is tried.
  giveUpAfter(fresh, greetingMs);
  fresh.addEventListener('open', () => {
    fresh.send(hello(token.token));
    scheduleHello(fresh, token.expiresAt);
  });
  fresh.addEventListener('message', (event) => {
    if (socket === fresh) receive(fresh, token.token, event.data);
  });
  fresh.addEventListener('close', (event) => {
    if (socket !== fresh) return;
    socket = null;
    clearTimeout(silence);
    clearTimeout(renewal);
    if (event.code === 4401) refused = token.token;
    become(event.code === 4401 ? 'connecting' : 'down');
    if (event.code !== 4403) setTimeout(() => void tend(), 1000 + Math.random() * 2000);
  });
}

function hello(token: string): string {
  return JSON.stringify({ type: 'hello', token, after: board.lastEventId() });
}

/** An access token lives shorter than a call: a new hello before its end keeps the link. */
function scheduleHello(on: WebSocket, expiresAt: number): void {
  clearTimeout(renewal);
  renewal = setTimeout(() => {
    void access().then((token) => {
      // access() renews only in the last 30 s; until then it gives the same one, and we ask again.
      if (socket !== on || on.readyState !== WebSocket.OPEN) return;
      if (token.expiresAt !== expiresAt) on.send(hello(token.token));
      scheduleHello(on, token.expiresAt);
    }).catch(() => undefined); // the socket will be closed by the server, and that is handled
  }, Math.max(5_000, Math.min(expiresAt - Date.now() - helloAgainMs, 2 ** 30)));
}

function giveUpAfter(on: WebSocket, ms: number): void {
  clearTimeout(silence);
  silence = setTimeout(() => {
    if (socket === on) on.close(4000);
  }, ms);
}

function receive(on: WebSocket, token: string, data: unknown): void {
  giveUpAfter(on, silenceMs);
  const message = understand(data);
  if (message === null) return;
  switch (message.type) {
    case 'ping':
      return;
    case 'ready':
      refused = null;
      board.sawEvent(message.id);
      become('open');
      void settle(Date.now());
      return;
    case 'call':
      board.sawEvent(message.id);
      board.put(message.changed);
      void tend();
      return;
    case 'revoked':
      refused = token;
      socket = null;
      on.close(1000);
      board.clear();
      void forgetRevoked(message.ended).then(() => become('closed')).then(told);
      return;
    default:
      message satisfies never;
  }
}

function understand(data: unknown): StreamMessage | null {
  if (typeof data !== 'string') return null;
  try {
    return parseStream(JSON.parse(data));
  } catch (error) {
    if (error instanceof Unexpected || error instanceof SyntaxError) return null; // a message that we cannot read is as none
    throw error;
  }
}

/** After a (re)connection: calls that we think live but that the server no longer names are asked for, once. */
async function settle(since: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1500));
  for (const call of board.liveCalls()) {
    if (Date.parse(call.createdAt) > since - 1500) continue;
    try {
      board.put(parseCall(await authorized({ method: 'GET', path: `/v1/calls/${encodeURIComponent(call.id)}` })));
    } catch (error) {
      const code = problemOf(error).code;
      if (code === 'not-found' || code === 'call-gone') board.drop(call.id);
    }
  }
  await tend();
}
