import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type LayerTask, type WriteLayersOptions, writeLayers } from '../../src/blobs/pool.js';
import type { BlobResult } from '../../src/blobs/writer.js';
import type { ChunkLayerSpec } from '../../src/layers/spec.js';
import { type ProgressEvent, type ProgressPart, silentLogger, startWork } from '../../src/log.js';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { openRepo } from '../../src/ostree/repo.js';
import { RepoBuilder } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';

const repo = new RepoBuilder('archive', '', scratchDirectory());
const scratch = scratchDirectory();
let count = 0;

/** A layer with one file; its checksum is for tests that look for the object. */
function task(content: string) {
  const checksum = repo.file({ content });
  const info = openRepo(repo.path).fileInfo(checksum);
  const objects = [{ checksum, paths: [`/${content.slice(0, 9)}` as const], info }];
  const spec: ChunkLayerSpec = {
    kind: 'chunk',
    formatVersion: 2,
    objects,
    directories: new Map(),
    contentSize: content.length,
  };
  return { spec, path: join(scratch, `layer-${count++}`), checksum };
}

function write(
  tasks: readonly LayerTask[],
  options: Partial<WriteLayersOptions> = {},
): Promise<BlobResult[]> {
  return writeLayers(tasks, {
    content: { kind: 'repo', path: repo.path },
    compression: { name: 'gzip', level: 1 },
    jobs: 1,
    signal: new AbortController().signal,
    onStart: (i) => startWork(silentLogger, 'writing layers').startPart(`${i}`, 'layer'),
    ...options,
  });
}

test('results are in the order of the tasks and the same for any number of workers', async () => {
  const contents = Array.from({ length: 7 }, (_, i) => `content ${i} `.repeat(((i * 5) % 7) + 1));
  const expected = await write(contents.map(task), { jobs: 1 });
  assert.deepEqual(await write(contents.map(task), { jobs: 3 }), expected);
  assert.deepEqual(await write(contents.map(task), { jobs: 20 }), expected);
});

test('the file of a task is the compressed tar of its layer', async () => {
  const layer = task('some content');
  const [blob] = await write([layer]);
  const tar = gunzipSync(readFileSync(layer.path));
  assert.equal(tar.length, blob?.tarSize);
  assert.ok(tar.includes('some content'));
});

test('a layer has the same bytes when idle workers compress some of its blocks', async () => {
  const content = Buffer.alloc(30 << 20, 'something long ').toString();
  const writeBoth = (jobs: number) => write([task(content), task('short')], { jobs });
  const expected = await writeBoth(1);
  assert.deepEqual(await writeBoth(2), expected);
  assert.deepEqual(await writeBoth(5), expected);
});

test('each blob is handed over with the index of its task', async () => {
  const handedOver: BlobResult[] = [];
  const results = await write(['a', 'b', 'c'].map(task), {
    jobs: 2,
    async onWritten(index, blob) {
      handedOver[index] = blob;
    },
  });
  assert.deepEqual(handedOver, results);
});

test('no tasks give no results', async () => {
  assert.deepEqual(await write([], { jobs: 4 }), []);
});

test('progress is reported in bytes of tar, several times per layer', async () => {
  const parts: (ProgressPart | undefined)[] = [];
  const progress = ({ part }: ProgressEvent) => void parts.push(part);
  const work = startWork({ ...silentLogger, progress }, 'writing layers');
  const content = '0123456789'.repeat(2_000_000);
  await write([task(content)], {
    onStart: () => work.startPart('0', 'digits', content.length),
  });
  const steps = parts.map((part) => part?.done ?? 0);
  assert.ok(steps.length > 4, `${steps}`);
  assert.deepEqual(
    steps,
    [...steps].sort((a, b) => a - b),
  );
  assert.equal(steps.at(-1), content.length);
});

test('the first failure ends all workers and is the error that is thrown', async () => {
  const tasks = ['a', 'b', 'c'].map((name) => task(`broken ${name}`));
  const checksum = tasks[1]?.checksum ?? '';
  rmSync(join(repo.path, 'objects', objectPath(checksum, 'filez')));
  await assert.rejects(write(tasks, { jobs: 2 }), {
    code: 'NOT_FOUND',
    message: new RegExp(checksum),
  });
});

test('an existing file is not overwritten, and the error names it', async () => {
  const first = task('twice');
  await write([first]);
  await assert.rejects(write([first]), {
    code: 'IO',
    message: new RegExp(`writing ${first.path}: EEXIST`),
  });
});

test('a signal cancels the writing of layers', async () => {
  const controller = new AbortController();
  const progress = ({ event }: ProgressEvent) => {
    if (event === 'advance') {
      controller.abort();
    }
  };
  const log = { ...silentLogger, progress };
  const writing = write([task('0123456789'.repeat(3_000_000))], {
    signal: controller.signal,
    onStart: () => startWork(log, 'writing layers').startPart('0', 'layer'),
  });
  await assert.rejects(writing, { code: 'CANCELLED' });
});

test('nothing is written once the signal has fired', async () => {
  const late = task('late');
  await assert.rejects(write([late], { signal: AbortSignal.abort() }), { code: 'CANCELLED' });
  assert.equal(existsSync(late.path), false);
});
