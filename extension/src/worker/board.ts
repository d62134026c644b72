// The calls that we know to be under way or just ended, and the question that waits for a second gesture. In memory, and
// in storage.session for when the worker is stopped. A row is dropped at its expiresAt.
import type { Call, CallChange } from '../api/types.ts';
import { readBoard, writeBoard } from '../storage.ts';
import type { Board, Pending } from '../storage.ts';

const keepEndedMs = 60_000; // how long an ended call is still shown
const keepPendingMs = 120_000;

const calls = new Map<string, Call>();
const ours = new Set<string>();
let lastEvent = '';
let pending: Pending | null = null;
let restored: Promise<void> | null = null;
const watchers = new Set<(change: { before: Call | null; after: Call } | null) => void>();

export function isLive(call: Pick<Call, 'status'>): boolean {
  return call.status !== 'disconnected' && call.status !== 'failed';
}

/** Loads what an earlier life of the worker knew. Everything below is called after it. */
export function restore(): Promise<void> {
  restored ??= readBoard().catch((): Board => ({ calls: [], ours: [], lastEvent: '', pending: null })).then((board) => {
    for (const call of board.calls) calls.set(call.id, call);
    for (const id of board.ours) ours.add(id);
    lastEvent = board.lastEvent;
    pending = board.pending;
  });
  return restored;
}

/** Tells of each change; null when it was not about one call. */
export function watch(told: (change: { before: Call | null; after: Call } | null) => void): void {
  watchers.add(told);
}

function changed(change: { before: Call | null; after: Call } | null): void {
  void writeBoard({ calls: [...calls.values()], ours: [...ours], lastEvent, pending });
  for (const told of watchers) told(change);
}

const order: Record<Call['status'], number> = { initiating: 0, callingCaller: 1, callingCallee: 2, connected: 3, disconnected: 4, failed: 4 };

/** Takes a call or a change of one. States only move forward: an answer may be overtaken by an event. */
export function put(change: CallChange): void {
  const before = calls.get(change.id) ?? null;
  if (before === null && change.number === undefined) return; // a change of a call that we never saw whole
  if (before !== null && order[change.status] < order[before.status]) return;
  const base = before ?? emptyCall(change);
  const after: Call = { ...base, ...change };
  if (!isLive(after)) after.can = { hangUp: false };
  calls.set(after.id, after);
  changed({ before, after });
}

function emptyCall(change: CallChange): Call {
  return {
    id: change.id, number: '', display: '', name: null, status: change.status, reason: null, diagnosis: null, device: null,
    createdAt: new Date().toISOString(), callerAnsweredAt: null, connectedAt: null, endedAt: null, durationSeconds: null,
    expiresAt: null, private: false, can: { hangUp: false },
  };
}

export function drop(id: string): void {
  if (calls.delete(id)) changed(null);
}

/** Marks a call as started here. Its first events may have come before the answer that named it. */
export function claim(id: string): void {
  ours.add(id);
  const known = calls.get(id);
  if (known !== undefined) changed({ before: null, after: known });
}

export function find(id: string): Call | null {
  return calls.get(id) ?? null;
}

export function isOurs(id: string): boolean {
  return ours.has(id);
}

export function liveCalls(): Call[] {
  return [...calls.values()].filter(isLive);
}

/** What to show, newest first. */
export function shownCalls(): Call[] {
  return [...calls.values()].sort((a, b) => b.createdAt.localeCompare(a.createdAt));
}

export function isEmpty(): boolean {
  return calls.size === 0 && pending === null;
}

/** Drops what has expired and what ended a while ago. */
export function sweep(now = Date.now()): void {
  let dropped = false;
  for (const call of calls.values()) {
    const expired = call.expiresAt !== null && Date.parse(call.expiresAt) <= now;
    const old = !isLive(call) && Date.parse(call.endedAt ?? call.createdAt) + keepEndedMs <= now;
    if (!expired && !old) continue;
    calls.delete(call.id);
    ours.delete(call.id);
    dropped = true;
  }
  if (pending !== null && pending.at + keepPendingMs <= now) {
    pending = null;
    dropped = true;
  }
  if (dropped) changed(null);
}

export function clear(): void {
  calls.clear();
  ours.clear();
  lastEvent = '';
  pending = null;
  changed(null);
}

export function lastEventId(): string {
  return lastEvent;
}

export function sawEvent(id: string): void {
  if (id === '' || id === lastEvent) return;
  lastEvent = id;
  void writeBoard({ calls: [...calls.values()], ours: [...ours], lastEvent, pending });
}

export function pendingCall(): Pending | null {
  return pending;
}

export function setPending(next: Pending | null): void {
  pending = next;
  changed(null);
}
