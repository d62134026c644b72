// What must not happen: strings that would do something else at the PBX, clicks that a page or a shaky hand makes, a PBX that
// dies under a call. In a laboratory of its own, so that everything that Asterisk sees is of our making.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { pointAt } from '../browser.mjs';
import { legIs, seenOf, watch } from './ami.mjs';
import { notNames, notNumbers, oddName } from './hostile.mjs';
import { ownLab, without } from './lab.mjs';
import { holdPhone } from './phone.mjs';
import { until } from './record.mjs';
import { setStage } from './stage.mjs';
import { stories } from './stories.mjs';
import { tell } from './tell.mjs';
import { tidyUp } from './tidy.mjs';
import { assertNotInLog } from './traces.mjs';

after(tidyUp, { timeout: 60_000 });

test('bad days', { skip: without ?? false, timeout: 200_000 }, async (t) => {
  const [answered] = stories('bare');
  const scene = await setStage({ style: 'bare', lab: ownLab(), phones: [answered, { name: 'held', endpoint: '110' }, { name: 'clicks', endpoint: '101' }] });
  for (const [name, play] of [
    ['what is no number or no name is refused, and Asterisk sees nothing', refuseHostile],
    ['an odd name is one call, and harms nothing', oneCallWithOddName],
    ['a click that a page makes is no call; two quick ones are one', forgedAndDoubleClicks],
    ['the PBX is killed in mid-call, and says so when it is back', killedInMidCall],
    ['the next call goes through', (all) => recovers(all, answered)],
    ['the log holds nothing of it', keepSilence],
  ]) await t.test(name, { timeout: 60_000 }, () => play(scene));
});

const channels = ({ watcher }) => watcher.events.all((one) => one.Event === 'Newchannel');

async function refuseHostile(scene) {
  const { api, watcher } = scene;
  const refused = async (body, what) => {
    const { status, type, body: problem } = await api.dial(body);
    assert.ok(status >= 400 && status < 500, `${JSON.stringify(what)}: ${status}`);
    assert.match(type, /^application\/problem\+json/);
    assert.match(problem.code, /^[a-z]+(-[a-z]+)+$/);
    if (what.length > 3) assert.ok(!JSON.stringify(problem).includes(JSON.stringify(what).slice(1, -1)), 'the refusal repeats it');
  };
  for (const number of notNumbers) await refused({ number }, number);
  for (const name of notNames) await refused({ number: '0201236666', name }, name);
  await watcher.ask('Ping');
  assert.deepEqual(channels(scene), [], 'Asterisk saw something');
  assert.deepEqual(await api.history(), []);
}

async function oneCallWithOddName({ api, live, lab, phones, server, watcher }) {
  const phone = await holdPhone(lab.phone('110'));
  const { status, body: call } = await api.dial({ number: '0201236666', name: oddName, deviceId: phones.get('held').deviceId });
  assert.equal(status, 201);
  const channel = server.channelOf(call.id);
  await legIs(watcher, channel, 'PJSIP/110-', 'Ringing');
  await phone.tell('accept');
  await live.next((one) => one.call?.id === call.id && one.call.status === 'connected', 'both to be connected');
  assert.equal((await api.ask('DELETE', `/v1/calls/${call.id}`)).status, 204);
  const { call: ended } = await live.next((one) => one.call?.id === call.id && one.call.endedAt !== null, 'the call to end');
  assert.deepEqual([ended.status, ended.reason, ended.name], ['disconnected', 'hangUp', oddName]);
  assert.deepEqual(channels({ watcher }).map((one) => one.Channel.split('-')[0]), ['PJSIP/110', 'PJSIP/carrier'], 'one call, and nothing beside it');
  assert.deepEqual(seenOf(watcher, channel, '110').dialled, ['0201236666']);
  const [row, ...more] = lab.carrierSaw();
  assert.deepEqual([row.called, row.caller, row.name, more], ['0201236666', phones.get('held').callerId, '', []]);
}

async function forgedAndDoubleClicks({ api, live, lab, person, phones, server, watcher }) {
  const before = (await api.history()).length;
  const [from, seenBefore] = [live.length, channels({ watcher }).length];
  await person.choosePhone(phones.get('clicks').deviceId);
  await person.page.bringToFront();
  await pointAt(person.page, '020 123 0000');
  await person.page.evaluate(() => {
    document.addEventListener('click', (event) => event.preventDefault(), { once: true }); // keeps the system's handler out of it
    document.querySelector('#tel').click();
    const host = document.body.lastElementChild;
    host.click();
    for (const type of ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click']) {
      host.dispatchEvent(new MouseEvent(type, { bubbles: true, composed: true, clientX: 5, clientY: 5 }));
    }
    window.postMessage({ type: 'page.dial', number: '+31201234567', name: null, gesture: '0123456789abcdef' }, '*');
  });
  await person.clickTwice('020 123 6666');
  const { call: { id } } = await live.next((one) => one.type === 'call', 'the click to become a call', { from });
  await person.showed(id, 'connected');
  await person.hangUp(id);
  await live.next((one) => one.call?.id === id && one.call.endedAt !== null, 'the call to end', { from });
  const calls = await api.history();
  assert.equal(calls.length, before + 1, 'calls made');
  assert.deepEqual([calls[0].id, calls[0].number, calls[0].reason], [id, '+31201236666', 'hangUp']);
  assert.equal(seenOf(watcher, server.channelOf(id), '101').own, 1);
  assert.equal(channels({ watcher }).length, seenBefore + 2, 'channels of one call');
  assert.equal(lab.carrierSaw((one) => one.called === '0201236666').length, 2);
}

async function killedInMidCall(scene) {
  const { api, live, lab, person, phones, server } = scene;
  await person.choosePhone(phones.get('clicks').deviceId);
  const from = live.length;
  await person.click('020 123 6666');
  const { call: { id } } = await live.next((one) => one.type === 'call', 'the click to become a call', { from });
  await person.showed(id, 'connected');
  lab.pbx('kill');
  await until(async () => !(await server.isReady()), 'the server to notice');

  const before = (await api.history()).length;
  await person.popup.fill('#number', '0201234567');
  await person.popup.click('#call');
  await person.popup.waitForSelector('.banner.bad');
  assert.match(await person.popup.textContent('.banner.bad'), /The telephone exchange does not answer right now\. No phone will ring\./);
  const refused = await api.dial({ number: '0201234567' });
  assert.deepEqual([refused.status, refused.body.code], [503, 'pbx-unavailable']);
  assert.equal((await api.history()).length, before, 'a refused click leaves no call');

  lab.pbx('start');
  const { call } = await live.next((one) => one.call?.id === id && one.call.endedAt !== null, 'the call to end', { from, ms: 40_000 });
  assert.deepEqual([call.status, call.reason], ['failed', null]);
  const sentence = {
    'pbx-restarted': 'The telephone exchange restarted, and the call was lost.',
    'lost-track': 'The connection to the exchange was lost; how the call ended is not known.',
  }[call.diagnosis.code];
  assert.equal(call.diagnosis.sentence, sentence, call.diagnosis.code);
  assert.equal((await person.showed(id, 'failed')).at(-1).headline, sentence);
}

async function recovers(scene, answered) {
  await until(() => scene.server.isReady(), 'the server to be ready again', 30_000);
  scene.watcher = await watch(scene.lab.watcher);
  await tell(answered, scene);
  const rang = scene.watcher.events.all((one) => one.Event === 'Newchannel' && one.Channel.startsWith('PJSIP/101-'));
  assert.equal(rang.length, 1, 'what was refused while the PBX was away rings nothing later');
}

async function keepSilence({ person, server }) {
  await person.close();
  assert.equal(await server.stop(), 0, 'the server ends in order');
  assertNotInLog(server.log, ['0201236666', '0201234567'], ['de Vries', 'PJSIP/104', 'SHELL', 'Jo Tester']);
}
