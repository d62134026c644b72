// The words of the server's contract, taken from schema.ts, which is generated from its OpenAPI document; nothing else
// imports schema.ts. Where the pages want something simpler than the wire, it says so here. The lists are there for the
// parsers, and the compiler holds them to the schema.
import type { components } from './schema.ts';

type Wire = components['schemas'];

export type CallStatus = Wire['Call']['status'];
export type Diagnosis = Wire['Diagnosis'];
export type CallRequest = Wire['StartCallInputBody'];
export type Device = Wire['MeDevice'];
export type DeviceState = Device['state'];

/** A call as the pages show it: '' for a number that is gone, and open where only a change of it is known. */
export type Call = Omit<Wire['Call'], 'number' | 'display' | 'reason' | 'device' | 'diagnosis' | 'signIn' | 'expiresAt' | 'recordingEnabled'> & {
  number: string;
  display: string;
  reason: string | null;
  device: Wire['Ref'] | null;
  diagnosis: Diagnosis | null;
  expiresAt: string | null;
};

export interface HistoryPage {
  items: Call[];
  next: Wire['Page']['next'];
}

/** Who is signed in, as far as the pages need it. */
export type Me = Pick<Wire['Me'], 'devices'> & {
  user: Omit<Wire['MeUser'], 'role'> & { role: string };
  tenant: Wire['MeTenant'] | null;
  signIn: (Omit<Wire['MeSignIn'], 'supportCode'> & { supportCode: string | null }) | null;
  historyDays: number | null;
};

export type NumberCheck = Omit<Wire['NumberCheck'], 'number' | 'display' | 'class' | 'region'> & { number: string; display: string };

export const callStatuses = ['initiating', 'callingCaller', 'callingCallee', 'connected', 'disconnected', 'failed'] as const satisfies readonly CallStatus[];
export const deviceStates = ['offline', 'idle', 'inUse', 'ringing', 'unknown'] as const satisfies readonly DeviceState[];
export const verdicts = ['allowed', 'confirm', 'denied'] as const satisfies readonly Wire['NumberCheck']['verdict'][];

export interface ProblemDocument {
  code: string;
  detail: string | null;
  confirm: string | null;
  error: string | null; // RFC 6749 5.2, from the token endpoint
  revoked: Ended | null; // who ended the sign-in of the refresh token that was refused
}

/** Who ended a sign-in, when, and why. */
export interface Ended {
  by: string;
  at: string;
  reason: string | null; // typed by a person: may hold a name
}

export interface TokenAnswer {
  accessToken: string;
  refreshToken: string;
  expiresInSeconds: number;
}

/** What came over the event stream. `changed` may be a whole call, or only its id, status, reason and times. */
export type StreamMessage =
  | { type: 'ready'; id: string; reset: boolean }
  | { type: 'call'; id: string; changed: CallChange }
  | { type: 'ping' }
  | { type: 'revoked'; ended: Ended };

export type CallChange = Partial<Call> & Pick<Call, 'id' | 'status'>;
