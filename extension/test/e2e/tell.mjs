// Plays a story, and holds it against what everybody saw: the popup, the live stream, the API, Asterisk, and the carrier.
import assert from 'node:assert/strict';
import { legIs, seenOf } from './ami.mjs';
import { styles } from './stories.mjs';

const headlines = {
  initiating: 'Starting the call', callingCaller: 'Your own phone rings now: pick up', callingCallee: 'The other side is ringing', connected: 'Connected',
};
const legs = {
  initiating: ['waiting', 'waiting'], callingCaller: ['rings', 'waiting'], callingCallee: ['on the line', 'rings'],
  connected: ['on the line', 'on the line'], disconnected: [],
};
const dayMs = 86_400_000;

/** `scene` has: style, lab, watcher, server, api, live, person, and the phones by story. Gives the call as it ended. */
export async function tell(story, scene) {
  const { lab, watcher, server, api, live, person } = scene;
  const phone = scene.phones.get(story.name);
  await person.choosePhone(phone.deviceId);
  const from = live.length;
  const before = (await api.history()).length;
  const clicked = Date.now();
  await person.click(story.text);
  const { call: { id } } = await live.next((one) => one.type === 'call', 'the click to become a call', { from });
  const channel = server.channelOf(id);
  await story.act?.({ lab, watcher, channel, live, person, call: id, story });

  const { call: ended } = await live.next((one) => one.call?.id === id && one.call.endedAt !== null, 'the call to end', { from, ms: 30_000 });
  assert.deepEqual({ status: ended.status, reason: ended.reason, diagnosis: ended.diagnosis },
    { status: 'disconnected', reason: story.reason, diagnosis: { code: story.diagnosis, sentence: story.sentence } },
    `it ended as ${ended.diagnosis?.code}, after:\n${storyOf(watcher, channel)}`);
  checkTimes(ended, story, clicked);
  checkStream(live.all((one) => one.call?.id === id).map((one) => one.call.status), story);
  checkPopup(await person.showed(id, 'disconnected'), story);
  await checkHistory(scene, { before, ended, story });
  await checkAsterisk(scene, { channel, story });
  checkCarrier(scene, { story, phone });
  return { ended, channel };
}

/** What Asterisk said of a call, for a failure's message: channels and causes, without numbers. */
function storyOf(watcher, channel) {
  return watcher.events.all((one) => one.Linkedid === channel || one.Uniqueid === channel || one.DestLinkedid === channel)
    .map((one) => ['Event', 'Channel', 'DestChannel', 'ChannelStateDesc', 'Cause', 'Reason'].flatMap((key) => one[key] ?? []).join(' '))
    .join('\n');
}

/** All of `wanted` in this order; those that pass in a moment may be missing. */
function inOrder(seen, wanted, brief, what) {
  const without = (list) => list.filter((one) => !brief.includes(one));
  assert.deepEqual(seen, wanted.filter((one) => seen.includes(one)), `${what}: out of order`);
  assert.deepEqual(without(seen), without(wanted), what);
}

function checkStream(statuses, story) {
  const steps = statuses.filter((one, i) => one !== statuses[i - 1]);
  inOrder(steps, story.statuses, ['initiating', ...(story.brief ?? [])], 'the live stream');
}

/** Whose number it is, as the demo page says beside it. */
const names = {
  '0201234567': 'Bakery De Korst', '0201231111': 'Garage Van Dijk', '0201230000': 'Mrs Jansen', '0201234444': 'Nobody',
  '0201236666': 'Talkative friend', '0201239999': 'Wrong number',
};

function checkPopup(shown, story) {
  inOrder(shown.map((one) => one.status), story.statuses, ['initiating', ...(story.brief ?? [])], 'the popup');
  for (const card of shown) {
    assert.equal(card.headline, headlines[card.status] ?? story.sentence);
    assert.equal(card.party, `${names[story.national]} · +31 ${story.national.slice(1, 3)} ${story.national.slice(3, 6)} ${story.national.slice(6)}`);
    assert.deepEqual(card.legs, legs[card.status], `legs of ${card.status}`);
  }
}

function checkTimes(call, story, clicked) {
  const { reached, lasts } = story;
  assert.equal(call.callerAnsweredAt !== null, reached !== 'nobody', 'callerAnsweredAt');
  assert.equal(call.connectedAt !== null, reached === 'both', 'connectedAt');
  const times = [clicked, call.createdAt, call.callerAnsweredAt, call.connectedAt, call.endedAt, Date.now()]
    .filter((one) => one !== null).map((one) => new Date(one).getTime());
  assert.deepEqual(times, times.toSorted((a, b) => a - b), 'the times are in order');
  const began = new Date(reached === 'both' ? call.connectedAt : call.createdAt);
  const seconds = (new Date(call.endedAt) - began) / 1000;
  assert.ok(seconds >= lasts[0] && seconds <= lasts[1], `it lasted ${seconds} s, not ${lasts.join(' to ')}`);
  assert.equal(call.durationSeconds, reached === 'both' ? Math.floor(seconds) : null);
  assert.equal(new Date(call.expiresAt) - new Date(call.createdAt), 90 * dayMs);
}

async function checkHistory({ api, person, phones }, { before, ended, story }) {
  const [newest, ...older] = await api.history();
  assert.deepEqual(newest, ended);
  assert.equal(older.length, before);
  assert.deepEqual((await api.ask('GET', `/v1/calls/${ended.id}`)).body, ended);
  assert.equal(ended.number, `+31${story.national.slice(1)}`);
  assert.equal(ended.name, names[story.national]);
  assert.equal(ended.device.label, phones.get(story.name).label);
  const row = await person.newestRow(before + 1);
  assert.equal(row.who, ended.name);
  assert.equal(row.again, `Call ${ended.name} again`);
  const how = story.reached === 'both' ? `00:0${ended.durationSeconds}` : story.sentence;
  const [number, at, ...rest] = row.detail.split(' · ');
  assert.equal(number, ended.display);
  assert.match(at, /^\d{1,2}:\d{2}( [AP]M)?$/);
  assert.deepEqual(rest, [how]);
}

async function checkAsterisk({ style, watcher }, { channel, story }) {
  const isMine = (one) => one.Linkedid === channel || one.Uniqueid === channel;
  await watcher.events.next((one) => one.Event === 'OriginateResponse' && isMine(one), 'what became of the Originate');
  if (story.colleague !== undefined) await endConversation({ watcher, channel, colleague: story.colleague });
  const main = style === 'local' || story.noPhone !== true;
  if (main) await watcher.events.next((one) => one.Event === 'Hangup' && one.Uniqueid === channel, 'our leg to end');
  const seen = await settled(() => seenOf(watcher, channel, story.endpoint));
  assert.equal(seen.originated, 1, 'one Originate');
  assert.equal(seen.main, main ? 1 : 0, 'one channel with our id');
  assert.equal(seen.own, story.noPhone ? 0 : 1, 'one leg to the own phone');
  assert.equal(seen.callee, story.reached === 'nobody' ? 0 : 1, 'legs to the callee');
  assert.equal(seen.left, 0, 'channels left behind');
  if (story.reached !== 'nobody') assert.ok(seen.dialled.includes(styles[style].dials(story.national)), `the number as this PBX wants it, not ${seen.dialled}`);

  /** The last leg's Hangup may come a moment after ours. */
  async function settled(look) {
    while (look().left > 0) await watcher.events.next((one) => one.Event === 'Hangup' && isMine(one), 'a leg to end', { from: watcher.events.length });
    return look();
  }
}

/** After a transfer the callee and the colleague talk on, though our call has ended: it must not have been cut. */
async function endConversation({ watcher, channel, colleague }) {
  const mine = (one) => one.Linkedid === channel;
  const hers = await legIs(watcher, channel, `PJSIP/${colleague}-`, 'Up');
  const callee = watcher.events.all((one) => one.Event === 'Newchannel' && mine(one) && one.Channel.startsWith('PJSIP/carrier-'));
  assert.equal(callee.length, 1);
  assert.equal(watcher.events.all((one) => one.Event === 'Hangup' && one.Uniqueid === callee[0].Uniqueid).length, 0, 'the callee talks on');
  await watcher.ask('Hangup', { Channel: hers.Channel });
  await watcher.ask('Hangup', { Channel: callee[0].Channel });
}

function checkCarrier({ lab }, { story, phone }) {
  const rows = lab.carrierSaw((one) => (story.withheld ? one.called === story.national : one.caller === phone.callerId));
  const caller = story.withheld ? { caller: 'anonymous', withheld: true, name: 'Anonymous' } : { caller: phone.callerId, withheld: false, name: '' };
  assert.deepEqual(rows.map(({ at: _, ...one }) => one), story.reached === 'nobody' ? [] : [{ called: story.national, ...caller }]);
}
