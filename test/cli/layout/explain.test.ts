/** `layout explain` says why a component is not in a layer where it would cost less. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../../src/bytes/json.js';
import { repoRoot } from '../../support/root.js';
import { ostrata } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';

const REPO = `--repo=${join(repoRoot, 'rpmdb-fixtures/sample/new')}`;
const LIMIT = '--max-layers=8';
const planSchema = v.object({ layers: v.array(v.object({ components: v.array(v.string()) })) });

const plan = parseJson(ostrata(['layout', 'plan', '--json', REPO, 'sample/os']), planSchema);
const components = plan.layers.flatMap((layer) => layer.components);

/** The lines about layers in which a component would cost less. */
function cheaperLayers(...source: readonly string[]): readonly string[] {
  const args = ['layout', 'explain', ...source, '--component', ...components];
  const lines = ostrata(args).split('\n');
  return lines.filter((line) => line.includes(' less with each update'));
}

function assertReason(lines: readonly string[], reason: RegExp): void {
  assert.notEqual(lines.length, 0);
  for (const line of lines) {
    assert.match(line, reason);
  }
}

test('a component of a first layout is where the layout lasts', () => {
  const reason = / update; a first layout is chosen to last, not for the next update alone$/;
  assertReason(cheaperLayers(REPO, LIMIT, 'sample/os'), reason);
});

test('a component of another layout is where its rules put it', () => {
  const lines = cheaperLayers(REPO, LIMIT, '--layout=rpm-ostree', 'sample/os');
  assertReason(lines, / update; the layout rpm-ostree follows other rules$/);
});

test('a component of an image stays because moving it costs clients a download', () => {
  const image = `oci:${join(scratchDirectory(), 'image')}`;
  ostrata(['container-encapsulate', REPO, LIMIT, 'sample/os', image]);
  assertReason(cheaperLayers(image), / update; moving it costs clients \d[\d.]* [kM]?B once$/);
});
