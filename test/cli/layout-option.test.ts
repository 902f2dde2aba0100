/** Options that choose the layout, and the layout that command lines of other tools get. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withOptions } from '../../src/cli/options/plugins.js';
import type { LayoutLimits, LayoutStrategy } from '../../src/plugin.js';
import { ostrata, tryOstrata } from '../support/run.js';

test('the help names the default layout and the default number of layers of each command', () => {
  const defaults = (...command: readonly string[]) => {
    const help = ostrata([...command, '--help']).replace(/\n {8,}/g, ' ');
    const [, layers] = /--max-layers <n> .*\(default: (\d+)\)/.exec(help) ?? [];
    const [, layout] = /--layout <name> .*\(default: "?([^")]*)"?\)/.exec(help) ?? [];
    return { layers, layout };
  };
  const usual = 'expected-download';
  const ofOtherTool = 'stable';
  assert.deepEqual(defaults('build'), { layers: '96', layout: usual });
  assert.deepEqual(defaults('container-encapsulate'), { layers: '64', layout: usual });
  assert.deepEqual(defaults('chunkah', 'build'), { layers: '64', layout: ofOtherTool });
  const compose = ['rpm-ostree', 'compose'];
  const encapsulate = defaults(...compose, 'container-encapsulate');
  assert.deepEqual(encapsulate, { layers: '64', layout: ofOtherTool });
  assert.deepEqual(defaults(...compose, 'build-chunked-oci'), { layers: '64', layout: usual });
});

test('--client-cadence tells the layout which builds clients take', () => {
  const seen: LayoutLimits[] = [];
  const strategy: LayoutStrategy = {
    name: 'spy',
    description: '',
    parts: 'any',
    plan(components, limits) {
      seen.push(limits);
      return { layers: [{ components: components.map(({ id }) => id) }] };
    },
  };
  const { parts, plan } = withOptions(strategy, { clientCadence: [1, 1, 4] });
  plan([], { maxLayers: 7 });
  assert.deepEqual(seen, [{ maxLayers: 7, clientCadence: [1, 1, 4] }]);
  assert.equal(parts, 'any');
  assert.equal(withOptions(strategy, { split: false }).parts, undefined);
});

test('--client-cadence takes whole numbers from 1 to 100', () => {
  const bad = ['0', '1,,4', '1.5', '101', 'weekly', '', Array(101).fill('1').join(',')];
  for (const text of bad) {
    const result = tryOstrata(['layout', 'plan', 'x.json', `--client-cadence=${text}`]);
    assert.equal(result.status, 2, text);
    assert.match(result.stderr, /option '--client-cadence <n,\.\.\.>' argument .* is invalid/);
  }
});
