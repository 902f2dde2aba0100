/** `ostrata layout` on a series of real rpmdbs, and what it predicts beside images that were built. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { repoRoot } from '../root.js';
import { ostrata } from './run.js';

const series = join(repoRoot, 'rpmdb-fixtures/series');

suite('ostrata layout', () => {
  let scratch: string;
  before(() => {
    scratch = mkdtempSync(join(tmpdir(), 'ostrata-test-'));
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  const simulate = (...args: string[]) =>
    JSON.parse(ostrata(['layout', 'simulate', ...args, '--json', '--quiet'])).results as Record<string, number>[];

  test('simulates a folder of rpmdbs', () => {
    const [few, enough, single] = [
      ...simulate(series, '--max-layers=4,16'),
      ...simulate(series, '--strategy=single'),
    ] as [Record<string, number>, Record<string, number>, Record<string, number>];
    assert.equal(few.updates, 4);
    // With 0.1 MB of -libs each: kernel in all updates, vim in three, systemd in two, glibc, bash and firmware in one.
    assert.equal(few.boundBytes, (4 * 90.1 + 3 * 2.1 + 2 * 20.1 + 30.1 + 7.1 + 150.1) * 1e6);
    assert.equal(enough.ratio, 1);
    assert.ok((few.ratio as number) > 1 && (few.ratio as number) < (single.ratio as number));
  });

  test('plans and explains one of them', () => {
    const source = join(series, '1.sqlite');
    assert.match(ostrata(['layout', 'plan', source, '--max-layers=4']), /\n4 layers for 16 components, 309 MB\n$/);
    const text = ostrata(['layout', 'explain', source, '--component=firmware.noarch', '--max-layers=4']);
    assert.match(
      text,
      /^firmware\.noarch: 150 MB, source package firmware\n {2}layer +\d of 4: 150 MB in 2 components\n/,
    );
  });

  test('an image is explained as it is', () => {
    const image = `oci:${join(scratch, 'image')}`;
    const call = ['container-encapsulate', `--repo=${join(repoRoot, 'rpmdb-fixtures/sample/new')}`, '--max-layers=9'];
    const { layers } = JSON.parse(ostrata([...call, '--quiet', '--json', 'sample/os', image])) as {
      layers: { components: string[] }[];
    };
    const at = layers.findIndex(({ components }) => components.includes('tzdata.noarch'));
    const text = ostrata(['layout', 'explain', image, '--component', 'tzdata', 'dir:/etc']);
    assert.match(text, new RegExp(`^tzdata\\.noarch: .*\n +layer +${at} of 8: `));
    assert.match(text, /\ndir:\/etc: /);
    assert.doesNotMatch(text, /updates seen/);
  });
});
