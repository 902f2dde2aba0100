/** The layout that command lines of other tools get. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layoutOfOtherTool } from '../../src/cli/options/plugins.js';
import { ostrata } from '../support/run.js';

test('the command line of another tool gets the stable layout unless it names a previous image', () => {
  assert.equal(layoutOfOtherTool(undefined, undefined), 'stable');
  assert.equal(layoutOfOtherTool(undefined, ['oci:image:1']), 'expected-download');
  assert.equal(layoutOfOtherTool('expected-download', undefined), 'expected-download');
  assert.equal(layoutOfOtherTool('single', undefined), 'single');
});

test('the help names the default layout and the default number of layers of each command', () => {
  const defaults = (...command: readonly string[]) => {
    const help = ostrata([...command, '--help']).replace(/\n {8,}/g, ' ');
    const [, layers] = /--max-layers <n> .*\(default: (\d+)\)/.exec(help) ?? [];
    const [, layout] = /--layout <name> .*\(default: "?([^")]*)"?\)/.exec(help) ?? [];
    return { layers, layout };
  };
  const usual = 'expected-download';
  const ofOtherTool = `${usual} with a previous image, otherwise stable`;
  assert.deepEqual(defaults('build'), { layers: '96', layout: usual });
  assert.deepEqual(defaults('container-encapsulate'), { layers: '64', layout: usual });
  assert.deepEqual(defaults('chunkah', 'build'), { layers: '64', layout: ofOtherTool });
  const compose = ['rpm-ostree', 'compose'];
  const encapsulate = defaults(...compose, 'container-encapsulate');
  assert.deepEqual(encapsulate, { layers: '64', layout: ofOtherTool });
  assert.deepEqual(defaults(...compose, 'build-chunked-oci'), { layers: '64', layout: usual });
});
