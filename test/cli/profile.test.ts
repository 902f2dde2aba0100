// `--profile`: how many layers an image may have by the client that it is for.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Command } from 'commander';
import { buildLayerLimitOptions, layerLimitOptions } from '../../src/cli/options/layers.js';
import { CLIENT_LAYERS, DEFAULT_MAX_LAYERS_OF_BUILD } from '../../src/layout/max-layers.js';
import { repoRoot } from '../support/root.js';
import { ostrata, tryOstrata } from '../support/run.js';

/** Returns the value of `--max-layers` that an action gets. */
function maxLayersWith(args: readonly string[], addOptions = buildLayerLimitOptions): unknown {
  let maxLayers: unknown;
  const command = addOptions(new Command());
  command.action((options: { readonly maxLayers: number }) => {
    maxLayers = options.maxLayers;
  });
  command.parse(args, { from: 'user' });
  return maxLayers;
}

test('a profile gives as many layers as its client takes', () => {
  assert.equal(maxLayersWith([]), DEFAULT_MAX_LAYERS_OF_BUILD);
  for (const [client, layers] of CLIENT_LAYERS) {
    assert.equal(maxLayersWith(['--profile', client]), layers);
    assert.equal(maxLayersWith(['--profile', client], layerLimitOptions), layers);
  }
});

test('--max-layers has precedence over a profile, before and after it', () => {
  assert.equal(maxLayersWith(['--profile=docker', '--max-layers=7']), 7);
  assert.equal(maxLayersWith(['--max-layers=7', '--profile=docker']), 7);
});

test('more layers than the client of the profile takes give a warning', () => {
  const repo = join(repoRoot, 'rpmdb-fixtures/sample/new');
  const plan = ['layout', 'plan', `--repo=${repo}`, 'sample/os', '--profile=docker'];
  const warning = 'warning: --max-layers 126: docker takes at most 125 layers\n';
  assert.equal(tryOstrata([...plan, '--max-layers=126']).stderr, warning);
  assert.equal(tryOstrata([...plan, '--max-layers=125']).stderr, '');
});

test('the help names the clients', () => {
  const help = ostrata(['build', '--help']).replace(/\s+/g, ' ');
  const names = [...CLIENT_LAYERS.keys()].map((client) => `"${client}"`);
  assert.ok(help.includes(`(choices: ${names.join(', ')})`));
});
