import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberOfLink } from '../src/find/link.ts';
import { tidyName } from '../src/find/name.ts';
import { findNumbers, regionOfPage } from '../src/find/numbers.ts';
import { mustMatch, mustNotMatch } from './corpus.ts';

for (const { region, text, numbers } of mustMatch) {
  test(`found (${region}): ${text}`, () => {
    assert.deepEqual(findNumbers(text, [region]).map((found) => found.number), numbers);
    const inside = `Lorem ipsum dolor. ${text} sit amet.`;
    assert.deepEqual(findNumbers(inside, [region]).map((found) => found.number), numbers, 'inside a sentence');
  });
}

for (const { what, texts } of mustNotMatch) {
  test(`not found: ${what}`, () => {
    for (const text of texts) {
      for (const region of ['NL', 'BE', 'DE', 'GB', 'US'] as const) {
        assert.deepEqual(findNumbers(text, [region]).map((found) => text.slice(found.start, found.end)), [], `${region}: ${text}`);
      }
    }
  });
}

test('places are those of the text, whatever its spaces', () => {
  const text = 'x\u00a0Bel 020\u202f123\u00a04567 nu';
  const [found] = findNumbers(text, ['NL']);
  assert.ok(found);
  assert.equal(text.slice(found.start, found.end), '020\u202f123\u00a04567');
});

test('a page from elsewhere: its own region first, then ours', () => {
  assert.deepEqual(findNumbers('09 223 45 67', ['BE', 'NL']).map((found) => found.number), ['+3292234567']);
  assert.deepEqual(findNumbers('06-12345678', ['BE', 'NL']).map((found) => found.number), ['+31612345678']);
});

test('many numbers in one long text, each once', () => {
  const text = Array.from({ length: 300 }, (_, i) => `regel ${i} bel 020-${String(2000000 + i)}`).join(', ');
  assert.equal(findNumbers(text, ['NL']).length, 300);
});

test('a long text of digits takes no long time', () => {
  const began = performance.now();
  findNumbers('0 1 2 3 4 5 6 7 8 9 '.repeat(2000), ['NL']);
  findNumbers('('.repeat(20000) + '0'.repeat(20000), ['NL']);
  assert.ok(performance.now() - began < 3000);
});

test('the region that a page suggests', () => {
  assert.equal(regionOfPage('www.winkel.example.be', ''), 'BE');
  assert.equal(regionOfPage('a.co.uk', ''), 'GB');
  assert.equal(regionOfPage('a.io', 'de-AT'), 'AT');
  assert.equal(regionOfPage('a.example', 'nl'), null);
});

const links: [string, string | null][] = [
  ['tel:+31201234567', '+31201234567'],
  ['tel:020-1234567', '+31201234567'],
  ['TEL:+31%20(0)20%20123%2045%2067', '+31201234567'],
  ['tel:+31-20-123-4567;ext=12', '+31201234567;ext=12'],
  ['tel:0201234567;phone-context=+31', '+31201234567'],
  ['tel:0201234567,123', '+31201234567;ext=123'],
  ['tel://0201234567', '+31201234567'],
  ['callto:+31201234567', '+31201234567'],
  ['tel:101', '101'],
  ['tel:112', '112'],
  ['tel:*21*0612345678#', '*21*0612345678#'],
  ['tel:%E0%A4%A', null],
  ['tel:', null],
  ['mailto:a@b.example', null],
  ['callto:somebody', null],
];
for (const [href, number] of links) {
  test(`link ${href}`, () => assert.equal(numberOfLink(href, 'NL')?.number ?? null, number));
}

test('a name beside a number', () => {
  assert.equal(tidyName('  Jan  de Vries\n'), 'Jan de Vries');
  assert.equal(tidyName('Bel ons'), null);
  assert.equal(tidyName('020 123 4567'), null);
  assert.equal(tidyName(null), null);
});
