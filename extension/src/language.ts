// Text in the user's language. The files of _locales are bundled, so that a person whose browser speaks English can
// still choose Dutch (the browser's own chrome.i18n cannot be told to).
import de from '../_locales/de/messages.json';
import en from '../_locales/en/messages.json';
import nl from '../_locales/nl/messages.json';
import type { Ended } from './api/types.ts';

export type TextKey = keyof typeof en;
export type Tongue = 'nl' | 'en' | 'de';
export const languages = ['auto', 'nl', 'en', 'de'] as const;
export type Language = (typeof languages)[number];

const tables: Record<Tongue, Record<TextKey, { message: string }>> = { nl, en, de };

export function chooseTongue(wanted: Language, browser: string): Tongue {
  if (wanted !== 'auto') return wanted;
  const start = browser.slice(0, 2).toLowerCase();
  return start === 'nl' || start === 'de' ? start : 'en';
}

export type Translate = (key: TextKey, ...values: string[]) => string;

export function translator(tongue: Tongue): Translate {
  return (key, ...values) => tables[tongue][key].message.replace(/\$(\d)/g, (_, digit: string) => values[Number(digit) - 1] ?? '');
}

const problemTexts = new Map<string, TextKey>([
  ['invalid-request', 'problemInvalidRequest'],
  ['unauthorized', 'problemUnauthorized'],
  ['forbidden', 'problemForbidden'],
  ['not-found', 'problemNotFound'],
  ['number-invalid', 'problemNumberInvalid'],
  ['number-too-long', 'problemNumberTooLong'],
  ['emergency-number', 'problemEmergencyNumber'],
  ['premium-number', 'problemPremiumNumber'],
  ['star-code', 'problemStarCode'],
  ['pace-exceeded', 'problemPaceExceeded'],
  ['too-many-calls', 'problemTooManyCalls'],
  ['no-device', 'problemNoDevice'],
  ['pbx-unavailable', 'problemPbxUnavailable'],
  ['postgres-unavailable', 'problemPostgresUnavailable'],
  ['call-ended', 'problemCallEnded'],
  ['call-gone', 'problemCallGone'],
  ['idempotency-key-reused', 'problemIdempotencyKeyReused'],
  ['confirmation-required', 'problemConfirmationRequired'],
  ['internal', 'problemInternal'],
  // ours, not the server's
  ['server-unreachable', 'problemServerUnreachable'],
  ['bad-answer', 'problemBadAnswer'],
  ['not-signed-in', 'problemNotSignedIn'],
  ['server-address', 'problemServerAddress'],
  ['no-permission', 'problemNoPermission'],
  ['pairing-refused', 'problemPairingRefused'],
  ['issuer-other', 'problemIssuerOther'],
  ['sign-in-not-offered', 'problemSignInNotOffered'],
  ['sign-in-denied', 'problemSignInDenied'],
  ['sign-in-error', 'problemSignInError'],
  ['sign-in-state', 'problemSignInState'],
  ['sign-in-issuer', 'problemSignInIssuer'],
  ['sign-in-refused', 'problemSignInRefused'],
  ['sign-in-late', 'problemSignInLate'],
  ['extension', 'problemExtension'],
]);

/** One sentence for a person: ours by the code (the detail is its value, where it has a place for one), else the server's own detail, else the general one. */
export function problemSentence(t: Translate, code: string, detail: string | null): string {
  const key = problemTexts.get(code);
  return key !== undefined ? t(key, detail ?? '') : (detail ?? t('problemInternal'));
}

const reasonTexts = new Map<string, TextKey>([
  ['hangUp', 'reasonHangUp'],
  ['callerAbandon', 'reasonCallerAbandon'],
  ['callerBusy', 'reasonCallerBusy'],
  ['callerNoAnswer', 'reasonCallerNoAnswer'],
  ['callerFailure', 'reasonCallerFailure'],
  ['calleeBusy', 'reasonCalleeBusy'],
  ['calleeNoAnswer', 'reasonCalleeNoAnswer'],
  ['calleeFailure', 'reasonCalleeFailure'],
]);

export function reasonSentence(t: Translate, reason: string | null): string | null {
  const key = reason === null ? undefined : reasonTexts.get(reason);
  return key === undefined ? null : t(key);
}

const endedTexts = new Map<string, TextKey>([
  ['support', 'signedOutSupport'],
  ['admin', 'signedOutAdmin'],
  ['operator', 'signedOutOperator'],
  ['user', 'signedOutUser'],
]);
const staff = new Set(['support', 'admin', 'operator']); // whose reason is a text for people; the others' is the server's own word

/** Who ended the sign-in and when, by the clock on this person's wall; and the reason that was typed, if any. */
export function endedSentence(t: Translate, locale: string, ended: Ended, now: Date = new Date()): { title: string; reason: string | null } {
  const title = t(endedTexts.get(ended.by) ?? 'signedOutSystem', moment(t, locale, new Date(ended.at), now)).replace(/ {2,}/g, ' ').trim();
  return { title, reason: ended.reason !== null && staff.has(ended.by) ? t('endedReason', ended.reason) : null };
}

function moment(t: Translate, locale: string, at: Date, now: Date): string {
  if (Number.isNaN(at.getTime())) return '';
  const time = at.toLocaleTimeString(locale, { hour: 'numeric', minute: '2-digit' });
  if (at.toDateString() === now.toDateString()) return t('momentToday', time);
  const year = at.getFullYear() === now.getFullYear() ? {} : { year: 'numeric' } as const;
  return t('momentDay', at.toLocaleDateString(locale, { day: 'numeric', month: 'long', ...year }), time);
}

/** The region of the browser's language decides between 10:42 and 10:42 AM, where it is the chosen language at all. */
export function localeOf(tongue: Tongue, browser: string): string {
  return browser.toLowerCase().startsWith(tongue) ? browser : tongue;
}
