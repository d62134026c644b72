// The stories: which phone, which number, what people do meanwhile, and all that must be true of it. `style` is how the PBX
// rings the own phone: `bare` (PJSIP/{device}) or `local` (Local/{device}@click-to-dial-phone/n, the dialplan to paste).
import { legIs } from './ami.mjs';
import { holdPhone } from './phone.mjs';

export const styles = {
  bare: { pbxUrl: (lab) => lab.pbxUrlBare, dials: (national) => national, held: '110', block: '1' },
  // The same PBX in the plan that wants numbers with a plus.
  local: {
    pbxUrl: (lab) => `${lab.pbxUrl.replace('numbers=national', 'numbers=e164')}&var.__CTD_CONTEXT=from-internal-plus`,
    dials: (national) => `+31${national.slice(1)}`, held: '111', block: '2',
  },
};

const talked = ['initiating', 'callingCaller', 'callingCallee', 'connected', 'disconnected'];
const rang = ['initiating', 'callingCaller', 'callingCallee', 'disconnected'];
const ownOnly = ['initiating', 'callingCaller', 'disconnected'];

/**
 * text: as the demo page has it; national: as the carrier is to see it; reached: how far it comes (nobody, callee: a leg to the
 * number, both: connected); lasts: seconds, of the conversation or else of the whole call; brief: states that may pass too
 * quickly to be seen. One number is not clicked twice in a row: within 1.5 s that is one gesture.
 */
export function stories(style) {
  const unknown = style === 'bare' ? ['020 123 9999', '0201239999'] : ['020 123 4444', '0201234444'];
  return [
    {
      name: 'answered, and hung up by the callee', endpoint: '101', text: '020 123 4567', national: '0201234567', reached: 'both',
      statuses: talked, reason: 'hangUp', diagnosis: 'hung-up', sentence: 'The call has ended.', lasts: [2, 4],
    },
    {
      name: 'the callee is busy', endpoint: '101', text: '020 123 1111', national: '0201231111', reached: 'callee',
      statuses: rang, reason: 'calleeBusy', diagnosis: 'number-busy', sentence: 'The number was busy.', lasts: [2, 8],
    },
    {
      name: 'the callee does not answer, and the popup hangs up', endpoint: '101', text: '020 123 0000', national: '0201230000', reached: 'callee',
      statuses: rang, reason: 'callerAbandon', diagnosis: 'hung-up-by-client', sentence: 'You ended the call before it was connected.', lasts: [1, 10],
      act: async ({ watcher, channel, person, call }) => {
        await legIs(watcher, channel, 'PJSIP/carrier-', 'Ringing');
        await person.showed(call, 'callingCallee');
        await person.hangUp(call);
      },
    },
    {
      name: 'the own phone does not answer', endpoint: '103', text: '020 123 4567', national: '0201234567', reached: 'nobody',
      statuses: ownOnly, reason: 'callerNoAnswer', diagnosis: 'phone-unanswered', sentence: 'You did not pick up your own phone in time.', lasts: [5, 8],
    },
    {
      name: 'the own phone is busy', endpoint: '102', text: '020 123 1111', national: '0201231111', reached: 'nobody',
      statuses: ownOnly, brief: ['callingCaller'], reason: 'callerBusy', diagnosis: 'phone-busy', sentence: 'Your own phone was busy.', lasts: [0, 5],
    },
    {
      name: 'the own phone is not registered', endpoint: '105', text: '020 123 4567', national: '0201234567', reached: 'nobody', noPhone: true,
      statuses: ownOnly, brief: ['callingCaller'], reason: 'callerFailure', diagnosis: 'phone-offline',
      sentence: 'Your phone is not connected to the exchange. Is it switched on?', lasts: [0, 5],
    },
    {
      name: 'the own phone answers 302', endpoint: '107', text: '020 123 0000', national: '0201230000', reached: 'nobody',
      statuses: ownOnly, brief: ['callingCaller'], reason: 'callerFailure', diagnosis: 'phone-forwarded',
      sentence: 'Your own phone is forwarded elsewhere. Switch the forwarding off to call by click.', lasts: [0, 5],
    },
    {
      name: 'the number does not exist; the caller id is withheld', endpoint: '101', text: unknown[0], national: unknown[1], reached: 'callee', withheld: true,
      statuses: rang, brief: ['callingCallee'], reason: 'calleeFailure', diagnosis: 'number-unknown', sentence: 'This number does not exist.', lasts: [1, 6],
    },
    {
      name: 'handed over to a colleague by the own phone', endpoint: styles[style].held, text: '020 123 6666', national: '0201236666', reached: 'both',
      statuses: talked, brief: ['callingCallee'], reason: 'hangUp', diagnosis: 'transferred', sentence: 'You passed the call on to somebody else.', lasts: [0, 6],
      act: (scene) => handOver(scene), colleague: '104',
    },
  ];
}

/** Picks up, sees who is called, talks, and sends the callee to 104, who picks up after a second. */
async function handOver({ lab, watcher, channel, live, call, story }) {
  const phone = await holdPhone(lab.phone(story.endpoint));
  const ringing = (await phone.tell('listcalls')).includes(story.national.slice(1)); // the own phone shows the destination
  await phone.tell('accept');
  if (!ringing) throw new Error('the own phone does not show whom it is about to call');
  await live.next((one) => one.call?.id === call && one.call.status === 'connected', 'both to be connected');
  const done = (one) => one.Event === 'BlindTransfer' && one.TransfererLinkedid === channel && one.Result === 'Success';
  for (let press = 1; ; press += 1) { // a phone that is just being told of the callee takes no key; its person presses it again
    await phone.tell('transfer', `sip:104@127.0.0.1:${lab.sipPort}`);
    const handed = watcher.events.next(done, 'the transfer', { ms: 4000 });
    if (await handed.then(() => true, (late) => (press === 4 ? Promise.reject(late) : false))) return;
  }
}
