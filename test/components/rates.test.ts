/** Expected changes a year from changelogs, ages and declared intervals. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesPerYear, newestBuildTime } from '../../src/components/rates.js';
import type { ComponentFacts, PackageFacts } from '../../src/plugin.js';

const DAY = 86_400;
const NOW = 1_700_000_000;
const facts = (
  packages: Partial<PackageFacts>[],
  more: Partial<ComponentFacts> = {},
): ComponentFacts => ({
  name: 'p',
  source: 'p',
  packages: packages.map((one) => ({
    name: 'p',
    nevra: 'p-1',
    size: 1,
    changelogTimes: [],
    ...one,
  })),
  ...more,
});

test('changelog entries of the last year are counted, to the day', () => {
  const times = [NOW + 2 * DAY, NOW, NOW - 364 * DAY, NOW - 366 * DAY];
  assert.equal(changesPerYear(facts([{ changelogTimes: times }]), NOW), 2);
  assert.equal(changesPerYear(facts([{ changelogTimes: [NOW - 900 * DAY] }]), NOW), 0);
});

test('if several versions are installed, the one with most changelog entries counts', () => {
  const packages = [{ changelogTimes: [NOW, NOW - DAY] }, { changelogTimes: [NOW - DAY] }];
  assert.equal(changesPerYear(facts(packages), NOW), 2);
});

test('a package without changelog is judged by its age', () => {
  assert.equal(changesPerYear(facts([{ buildTime: NOW - 365 * DAY }]), NOW), 1);
  assert.equal(changesPerYear(facts([{ buildTime: NOW }]), NOW), 365 / 7);
});

test('a declared interval wins; an interval of 0 and no information mean "in every build"', () => {
  assert.equal(
    changesPerYear(facts([{ changelogTimes: [NOW] }], { updateInterval: 7 }), NOW),
    365 / 7,
  );
  assert.equal(changesPerYear(facts([], { updateInterval: 0 }), NOW), Number.POSITIVE_INFINITY);
  assert.equal(changesPerYear(facts([]), NOW), Number.POSITIVE_INFINITY);
  assert.equal(changesPerYear(facts([{}]), NOW), Number.POSITIVE_INFINITY);
});

test('the reference time is the newest build time', () => {
  assert.equal(newestBuildTime([facts([{ buildTime: 5 }, { buildTime: 9 }]), facts([])]), 9);
  assert.equal(newestBuildTime([]), 0);
});
