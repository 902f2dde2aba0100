/** In which order content sources are asked, and how their errors are reported. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadClaims } from '../../src/components/load.js';
import { OstrataError } from '../../src/errors.js';
import { silentLogger } from '../../src/log.js';
import type { ContentSource } from '../../src/plugin.js';
import { buildTree } from '../support/build-tree.js';

const tree = buildTree({ '/a': '' });
const source = (
  name: string,
  priority: number,
  more: Partial<ContentSource> = {},
): ContentSource => ({
  name,
  priority,
  detect: () => true,
  load: async () => ({
    components: new Map([[name, { name, source: name, packages: [] }]]),
    strong: () => [],
  }),
  ...more,
});
const load = (sources: readonly ContentSource[], signal = new AbortController().signal) =>
  loadClaims(tree, sources, { log: silentLogger, signal });
const names = async (sources: readonly ContentSource[]) =>
  (await load(sources)).flatMap(({ components }) => [...components.keys()]);

test('sources are loaded by priority, then by name; a source that detects nothing is skipped', async () => {
  const absent = source('absent', 0, { detect: () => false, load: () => assert.fail('was asked') });
  assert.deepEqual(await names([source('c', 2), absent, source('b', 1), source('a', 2)]), [
    'b',
    'a',
    'c',
  ]);
});

test('an error names the source', async () => {
  const broken = source('broken', 1, {
    load: async () => {
      throw new OstrataError('CORRUPT', 'page 3');
    },
  });
  await assert.rejects(load([broken]), {
    code: 'CORRUPT',
    message: 'content source broken: page 3',
  });
});

test('an aborted signal stops before the next source', async () => {
  const controller = new AbortController();
  const first = source('first', 1);
  const cancelling = {
    ...first,
    load: (context: Parameters<ContentSource['load']>[0]) => {
      controller.abort();
      return first.load(context);
    },
  };
  const second = source('second', 2, { load: () => assert.fail('was asked') });
  await assert.rejects(load([cancelling, second], controller.signal), { code: 'CANCELLED' });
});
