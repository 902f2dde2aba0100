/** What the tree of an image that is built again keeps in memory, and how signals end reading it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../src/log.js';
import { openImage } from '../../src/transports/image-reference.js';
import { imageLayers } from '../../src/tree/layer-source.js';
import { openSpooledImage } from '../../src/tree/spooled-image.js';
import { collectGarbage } from '../support/collect-garbage.js';
import { forgePlain } from '../support/forge-image.js';

const empty = (name: string) => ({ name, type: 'file' as const, content: Buffer.alloc(0) });

const FILE_COUNT = 20_000;

test('entries of layers that are not in the tree are not kept in memory', async () => {
  const removed = Array.from({ length: FILE_COUNT }, (_, i) => empty(`a/${i}`));
  const source = await imageLayers(await openImage(forgePlain([removed, [empty('.wh.a')]]).imgref));
  const { signal } = new AbortController();

  await collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const tree = await openSpooledImage(source, { log: silentLogger, signal, jobs: 1 });
  await collectGarbage();
  const kept = process.memoryUsage().heapUsed - before;
  assert.equal(tree.files.size, 1);
  assert(kept < 100 * FILE_COUNT, `${kept} bytes`);
  tree.close?.();
});

test('a signal ends the reading of known layer indexes', async () => {
  const layers = [[empty('a')], [empty('b')], [empty('c')]];
  const source = await imageLayers(await openImage(forgePlain(layers).imgref));
  const controller = new AbortController();
  let count = 0;
  const indexes = {
    load() {
      count++;
      setImmediate(() => controller.abort());
      return undefined;
    },
    save() {},
  };
  const options = { log: silentLogger, signal: controller.signal, jobs: 1, indexes };
  await assert.rejects(openSpooledImage(source, options), { code: 'CANCELLED' });
  assert.equal(count, 1);
});
