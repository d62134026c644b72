// One style of PBX: all its stories one after the other, then what they left behind.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sharedLab, without } from './lab.mjs';
import { extension } from './person.mjs';
import { setStage } from './stage.mjs';
import { stories } from './stories.mjs';
import { tell } from './tell.mjs';
import { tidyUp } from './tidy.mjs';
import { assertNotInLog, assertNotOnDisk, hostsAsked } from './traces.mjs';

export function playAll(style) {
  after(tidyUp, { timeout: 60_000 });
  test(`PBX in ${style} style`, { skip: without ?? false, timeout: 200_000 }, async (t) => {
    const scene = await setStage({ style, lab: sharedLab(), phones: stories(style) });
    for (const story of stories(style)) await t.test(story.name, { timeout: 60_000 }, () => tell(story, scene));
    await t.test('nobody but the server was asked, and no number is left in log or profile', () => checkTraces(style, scene));
  });
}

async function checkTraces(style, { person, server, phones }) {
  await person.page.goto('http://canary.invalid/').catch(() => undefined); // shows that the net log catches what it must
  await person.close();
  assert.deepEqual(await hostsAsked(person.netLog), [new URL(server.url).host, 'canary.invalid'].sort());
  const dialled = [...new Set(stories(style).map((story) => story.national))];
  await assertNotOnDisk(person.profile, extension, dialled, ['Phone for story']);
  assert.equal(await server.stop(), 0, 'the server ends in order');
  const shown = [...phones.values()].map((one) => `0${one.callerId.slice(3)}`);
  assertNotInLog(server.log, [...dialled, ...shown], ['Phone for story', 'Jo Tester', 'jo@e2e']);
}
