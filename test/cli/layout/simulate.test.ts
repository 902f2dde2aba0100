/** `ostrata layout simulate` on real builds, with real states of the directories of firmware. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../../src/bytes/json.js';
import { repoRoot } from '../../support/root.js';
import { ostrata } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';

const FIXTURES = join(repoRoot, 'rpmdb-fixtures/series');
const FIRMWARE = join(FIXTURES, 'firmware.jsonl.gz');
const resultSchema = v.object({
  bytes: v.number(),
  boundBytes: v.number(),
  partBoundBytes: v.number(),
  ratio: v.number(),
  partRatio: v.number(),
});
const reportSchema = v.object({ results: v.array(resultSchema) });

const simulate = (...args: readonly string[]) => ostrata(['layout', 'simulate', ...args]);

function resultsOf(...args: readonly string[]) {
  return parseJson(simulate(FIRMWARE, '--json', ...args), reportSchema).results;
}

suite('layout simulate of a series with directories', () => {
  test('prints the figures that rpmdb-fixtures/series has', () => {
    const strategies = '--strategy=expected-download,hash-tiers,one-per-component';
    const expected = readFileSync(join(FIXTURES, 'firmware.txt'), 'utf8');
    assert.equal(simulate(FIRMWARE, strategies, '--max-layers=33,65,129', '--lag=1,4'), expected);
  });

  test('compares every layout with the same bounds, for packages and for parts', () => {
    const strategies = '--strategy=expected-download,one-per-component';
    const split = resultsOf(strategies, '--max-layers=33,129');
    const whole = resultsOf(strategies, '--max-layers=129', '--no-split');
    const bounds = [...split, ...whole].map(({ boundBytes, partBoundBytes }) =>
      JSON.stringify([boundBytes, partBoundBytes]),
    );
    assert.equal(new Set(bounds).size, 1);
    for (const { bytes, boundBytes, partBoundBytes, ratio, partRatio } of [...split, ...whole]) {
      assert.ok(partBoundBytes < boundBytes);
      assert.equal(ratio, bytes / boundBytes);
      assert.equal(partRatio, bytes / partBoundBytes);
    }
    assert.ok((split[1]?.bytes ?? 0) < (whole[0]?.bytes ?? 0));
  });

  test('draws both bounds; of a series without directories there is one', () => {
    const html = (source: string) => {
      const path = join(scratchDirectory(), 'report.html');
      simulate(source, `--html=${path}`);
      return readFileSync(path, 'utf8');
    };
    assert.match(html(FIRMWARE), /one layer per component<.*one layer per part of a component</s);
    const ofPackages = html(join(FIXTURES, 'rpmdb'));
    assert.match(ofPackages, /one layer per component</);
    assert.doesNotMatch(ofPackages, /one layer per part/);
  });
});
