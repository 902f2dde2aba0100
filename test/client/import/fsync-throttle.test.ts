import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { importCommit } from '../../../src/client/import/commit.js';
import { type FetchEvent, LayerFetcher } from '../../../src/client/import/fetch.js';
import { FsyncThrottle } from '../../../src/client/import/fsync-throttle.js';
import { planImport } from '../../../src/client/import/plan.js';
import { listBlobs } from '../../../src/client/stored.js';
import { silentLogger } from '../../../src/log.js';
import { RepoWriter } from '../../../src/ostree/write/writer.js';
import { buildImage } from '../../support/build-image.js';
import { dir, RepoBuilder } from '../../support/build-repo.js';
import { scratchDirectory } from '../../support/scratch.js';

test('waits once for many small layers, soon for a large one', () => {
  const pace = new FsyncThrottle(() => 0);
  assert.deepEqual(
    [pace.isDue(1 << 20), pace.isDue(1 << 20), pace.isDue(32 << 20)],
    [false, false, true],
  );
  pace.sync(() => {});
  assert.equal(pace.isDue(1 << 20), false);
});

test('waits when some time has passed, on a slow disk more', () => {
  let time = 0;
  const pace = new FsyncThrottle(() => time);
  const dueAfter = (milliseconds: number) => {
    const start = time;
    time += milliseconds;
    const isDue = pace.isDue(1);
    time = start;
    return isDue;
  };
  assert.deepEqual([dueAfter(249), dueAfter(250)], [false, true]);
  pace.sync(() => {
    time += 3000;
  });
  assert.deepEqual([dueAfter(11_999), dueAfter(12_000)], [false, true]);
});

test('a pull that takes its time has each layer in the repository as it comes, small ones first', async () => {
  const text = (length: number) => randomBytes(length).toString('hex');
  const spec = dir({
    bin: dir({ sh: text(2000) }),
    lib: dir({ a: text(9000) }),
    usr: dir({ b: text(100) }),
  });
  const { image } = await buildImage(spec);
  const layersAtEvents = async (step: number) => {
    const writer = await RepoWriter.open(new RepoBuilder('archive', '', scratchDirectory()).path, {
      fsync: true,
    });
    const plan = await planImport(writer.repo, image);
    const seen: number[] = [];
    const sizes: number[] = [];
    let time = 0;
    const onEvent = (event: FetchEvent) => {
      if (event.event === 'imported') {
        seen.push(listBlobs(writer.repo).length);
      } else {
        time += step;
        sizes.push(event.size);
      }
    };
    const options = { jobs: 1, log: silentLogger, signal: new AbortController().signal, onEvent };
    const fetcher = new LayerFetcher(writer, image, options);
    try {
      await importCommit({ writer, fetcher, verifyCommit: undefined }, plan, () => time);
    } finally {
      await fetcher.close();
      writer.close();
    }
    const [, ...chunks] = sizes;
    assert.deepEqual(
      chunks,
      chunks.toSorted((a, b) => a - b),
    );
    return seen;
  };
  // The commit layer's ref comes last.
  assert.deepEqual(await layersAtEvents(0), [0, 0, 0, 0]);
  assert.deepEqual(await layersAtEvents(10_000), [0, 1, 2, 3]);
});
