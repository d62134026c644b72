// Starting and ending calls. One gesture has one key, whatever happens on the way; a number that needs a second gesture
// waits in `pending` until our own surface is asked.
import { persist, problemOf, refusal } from '../api/client.ts';
import { parseCall, parseCheck } from '../api/parse.ts';
import type { CallRequest, NumberCheck } from '../api/types.ts';
import type { DialOutcome } from '../messages.ts';
import { changeSettings, readSettings } from '../storage.ts';
import * as board from './board.ts';
import * as link from './link.ts';
import { authorized } from './session.ts';
import { sayer, uiTexts } from './tongue.ts';

export interface Wish {
  number: string;
  name: string | null;
  gesture: string;
}

const underWay = new Map<string, Promise<DialOutcome>>();

/** The same gesture asked twice is one call, also within this worker. */
export function dial(wish: Wish): Promise<DialOutcome> {
  const same = underWay.get(wish.gesture);
  if (same !== undefined) return same;
  const started = start(wish).finally(() => setTimeout(() => underWay.delete(wish.gesture), 10_000));
  underWay.set(wish.gesture, started);
  return started;
}

async function start(wish: Wish): Promise<DialOutcome> {
  const { deviceId } = await readSettings();
  try {
    return await send({ number: wish.number, ...(wish.name !== null && { name: wish.name }), ...(deviceId !== null && { deviceId }) }, wish.gesture);
  } catch (error) {
    const problem = problemOf(error);
    if (problem.code === 'confirmation-required') return askAgain(wish, deviceId, problem.confirm);
    if (deviceId !== null && (problem.code === 'device-unknown')) await changeSettings({ deviceId: null }); // the chosen phone is gone
    throw error;
  }
}

async function send(body: CallRequest, key: string): Promise<DialOutcome> {
  const call = parseCall(await persist(() => authorized({ method: 'POST', path: '/v1/calls', json: body, idempotencyKey: key, timeoutMs: 4000 })));
  board.claim(call.id);
  board.put(call);
  void link.tend();
  const t = await uiTexts();
  return { started: true, confirm: false, sentence: t('pickUp'), callId: call.id };
}

export async function check(number: string): Promise<NumberCheck> {
  return parseCheck(await authorized({ method: 'POST', path: '/v1/numbers/check', json: { number }, timeoutMs: 5000 }));
}

async function askAgain(wish: Wish, deviceId: string | null, token: string | null): Promise<DialOutcome> {
  const looked = await check(wish.number);
  const t = await uiTexts();
  if (looked.verdict === 'denied') throw refusal(looked.code ?? 'forbidden', 422, looked.sentence);
  board.setPending({
    number: wish.number, display: looked.display || wish.number, name: wish.name, deviceId,
    sentence: looked.sentence ?? t('confirmText'), token: looked.confirm ?? token, at: Date.now(),
  });
  return { started: false, confirm: true, sentence: t('pageConfirm'), callId: null };
}

/** The second gesture, made in our own surface. Its key is its own: the body differs from the first one's. */
export async function confirm(gesture: string): Promise<DialOutcome> {
  board.sweep();
  const waiting = board.pendingCall();
  if (waiting === null) throw refusal('call-gone');
  board.setPending(null);
  return send({
    number: waiting.number,
    ...(waiting.name !== null && { name: waiting.name }),
    ...(waiting.deviceId !== null && { deviceId: waiting.deviceId }),
    ...(waiting.token !== null && { confirm: waiting.token }),
  }, gesture);
}

export async function hangUp(id: string): Promise<null> {
  try {
    await authorized({ method: 'DELETE', path: `/v1/calls/${encodeURIComponent(id)}`, timeoutMs: 5000 });
  } catch (error) {
    if (problemOf(error).code !== 'call-ended') throw error;
  }
  void link.tend();
  return null;
}

/** Where nobody waits for an answer (a menu, a shortcut), a refusal becomes a notification. */
export async function dialUnattended(number: string, gesture: string, told: (outcome: DialOutcome) => Promise<void>): Promise<void> {
  try {
    await told(await dial({ number: number.slice(0, 200), name: null, gesture }));
  } catch (error) {
    const say = await sayer();
    await told({ started: false, confirm: false, sentence: say(problemOf(error)), callId: null });
  }
}
