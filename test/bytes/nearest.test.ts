/** Names that somebody who mistyped one may have meant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, nearestNames } from '../../src/bytes/nearest.js';

test('a changed, missing, added or swapped character is one mistake', () => {
  for (const wanted of ['stabel', 'stble', 'stablle', 'stafle']) {
    assert.deepEqual(nearestNames(wanted, ['testing', 'stable', 'next']), ['stable'], wanted);
  }
});

test('the nearest name comes first, and there are at most three', () => {
  const names = ['os/stxxle', 'os/stable', 'os/stxble', 'os/stabxe', 'os/stayxe'];
  assert.deepEqual(nearestNames('os/stable', names), ['os/stable', 'os/stabxe', 'os/stxble']);
});

test('a part of a name is enough', () => {
  assert.deepEqual(nearestNames('coreos', ['fedora/coreos/stable']), ['fedora/coreos/stable']);
  assert.deepEqual(nearestNames('os', ['sample/os', 'almost']), ['sample/os']);
});

test('names that do not resemble what is wanted are not suggested', () => {
  assert.deepEqual(nearestNames('inspect', ['verify', 'layout']), []);
  assert.deepEqual(nearestNames('', ['a']), []);
  assert.equal(didYouMean('inspect', ['verify']), '');
});

test('suggestions end a message', () => {
  assert.equal(didYouMean('aaab', ['aaaa']), '; did you mean aaaa?');
  assert.equal(didYouMean('aaab', ['aaaa', 'aaac']), '; did you mean aaaa or aaac?');
  const three = ['aaaa', 'aaac', 'aaad'];
  assert.equal(didYouMean('aaab', three), '; did you mean aaaa, aaac or aaad?');
});

test('long names and long lists are not compared to their end', () => {
  const long = 'x'.repeat(100_000);
  assert.deepEqual(nearestNames(long, [long]), []);
  const many = Array.from({ length: 60_000 }, (_, i) => `name-${i}`);
  assert.equal(nearestNames('name-59999', many).includes('name-59999'), false);

  const longNames = Array.from({ length: 1000 }, (_, i) => `${i}`.padStart(255, 'name-'));
  const last = longNames[999] ?? '';
  assert.equal(nearestNames(last, longNames).includes(last), false);
});
