// From JSON to the types of the contract. A member that we do not know is ignored: the server may be newer than we are.
import { count, countOrNull, fields, flag, isFields, list, oneOf, text, textOrNull } from './check.ts';
import type { Fields } from './check.ts';
import { callStatuses, deviceStates, verdicts } from './types.ts';
import type { Call, CallChange, Device, Diagnosis, Ended, HistoryPage, Me, NumberCheck, ProblemDocument, StreamMessage, TokenAnswer } from './types.ts';

function parseDiagnosis(value: unknown): Diagnosis | null {
  return isFields(value) ? { code: text(value, 'code'), sentence: textOrNull(value, 'sentence') ?? '' } : null;
}

function parseLabelled(value: unknown): { id: string | null; label: string } | null {
  return isFields(value) ? { id: textOrNull(value, 'id'), label: textOrNull(value, 'label') ?? '' } : null;
}

export function parseCall(value: unknown): Call {
  const from = fields(value, 'call');
  const number = textOrNull(from, 'number') ?? '';
  return {
    id: text(from, 'id'),
    number,
    display: textOrNull(from, 'display') ?? number,
    name: textOrNull(from, 'name'),
    status: oneOf(from, 'status', callStatuses),
    reason: textOrNull(from, 'reason'),
    diagnosis: parseDiagnosis(from['diagnosis']),
    device: parseLabelled(from['device']),
    createdAt: text(from, 'createdAt'),
    callerAnsweredAt: textOrNull(from, 'callerAnsweredAt'),
    connectedAt: textOrNull(from, 'connectedAt'),
    endedAt: textOrNull(from, 'endedAt'),
    durationSeconds: countOrNull(from, 'durationSeconds'),
    expiresAt: textOrNull(from, 'expiresAt'),
    private: flag(from, 'private'),
    can: { hangUp: isFields(from['can']) && flag(from['can'], 'hangUp') },
  };
}

/** A call as the stream sends it: whole, or (Postgres down, record gone) without who and whom. */
export function parseChange(value: unknown): CallChange {
  const from = fields(value, 'call');
  if ('number' in from) return parseCall(from); // null in a private call that has ended
  const change: CallChange = { id: text(from, 'id'), status: oneOf(from, 'status', callStatuses) };
  if ('reason' in from) change.reason = textOrNull(from, 'reason');
  if ('diagnosis' in from) change.diagnosis = parseDiagnosis(from['diagnosis']);
  for (const key of ['callerAnsweredAt', 'connectedAt', 'endedAt', 'expiresAt'] as const) {
    if (key in from) change[key] = textOrNull(from, key);
  }
  return change;
}

export function parseHistory(value: unknown): HistoryPage {
  const from = fields(value, 'history');
  return { items: list(from, 'items').map(parseCall), next: textOrNull(from, 'next') };
}

function parseDevice(value: unknown): Device {
  const from = fields(value, 'device');
  const state = deviceStates.find((word) => word === from['state']) ?? 'unknown';
  return { id: text(from, 'id'), label: text(from, 'label'), state, default: flag(from, 'default') };
}

export function parseMe(value: unknown): Me {
  const from = fields(value, 'me');
  const user = fields(from['user'], 'user');
  const tenant = from['tenant'];
  const signIn = from['signIn'];
  return {
    user: { id: text(user, 'id'), email: text(user, 'email'), name: textOrNull(user, 'name') ?? '', role: text(user, 'role') },
    tenant: isFields(tenant) ? { id: text(tenant, 'id'), name: text(tenant, 'name'), region: text(tenant, 'region') } : null,
    devices: list(from, 'devices').map(parseDevice),
    signIn: isFields(signIn)
      ? { id: text(signIn, 'id'), label: textOrNull(signIn, 'label') ?? '', supportCode: textOrNull(signIn, 'supportCode') }
      : null,
    historyDays: countOrNull(from, 'historyDays'),
  };
}

export function parseCheck(value: unknown): NumberCheck {
  const from = fields(value, 'check');
  const number = textOrNull(from, 'number') ?? '';
  return {
    number,
    display: textOrNull(from, 'display') ?? number,
    verdict: oneOf(from, 'verdict', verdicts),
    code: textOrNull(from, 'code'),
    sentence: textOrNull(from, 'sentence'),
    confirm: textOrNull(from, 'confirm'),
  };
}

/** RFC 9457; also RFC 6749 5.2, whose `error` stands for the code where there is none. */
export function parseProblem(value: unknown): ProblemDocument {
  if (!isFields(value)) return { code: 'internal', detail: null, confirm: null, error: null, revoked: null };
  const word = (key: string): string | null => (typeof value[key] === 'string' && value[key] !== '' ? value[key] : null);
  return {
    code: word('code') ?? word('error') ?? 'internal',
    detail: word('detail') ?? word('error_description'),
    confirm: word('confirm'),
    error: word('error'),
    revoked: isFields(value['revoked']) ? parseEnded(value['revoked']) : null,
  };
}

const longestReason = 200; // characters, as the server allows

/** Never throws: that a sign-in has ended must be understood however it is told. */
function parseEnded(from: Fields): Ended {
  const word = (key: string): string => (typeof from[key] === 'string' ? from[key] : '');
  // Shown as one line: whatever moves the text about is taken out.
  const reason = [...word('reason').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()].slice(0, longestReason).join('');
  return { by: word('by') || 'system', at: word('at'), reason: reason === '' ? null : reason };
}

export function parseTokens(value: unknown): TokenAnswer {
  const from = fields(value, 'tokens');
  return {
    accessToken: text(from, 'access_token'),
    refreshToken: text(from, 'refresh_token'),
    expiresInSeconds: count(from, 'expires_in'),
  };
}

/** Null for a type that we do not know: a newer server may say more. */
export function parseStream(value: unknown): StreamMessage | null {
  const from = fields(value, 'message');
  switch (from['type']) {
    case 'ready':
      return { type: 'ready', id: eventId(from), reset: flag(from, 'reset') };
    case 'call':
      return { type: 'call', id: eventId(from), changed: parseChange(from['call']) };
    case 'ping':
      return { type: 'ping' };
    case 'revoked':
      return { type: 'revoked', ended: parseEnded(from) };
    default:
      return null;
  }
}

function eventId(from: { [key: string]: unknown }): string {
  const id = from['id'];
  return typeof id === 'number' ? String(id) : typeof id === 'string' ? id : '';
}
