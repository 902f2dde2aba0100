import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { writeLayers } from '../../src/blobs/pool.js';
import type { ChunkLayerSpec } from '../../src/layers/spec.js';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { openRepo } from '../../src/ostree/repo.js';
import { RepoBuilder } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';

const repo = new RepoBuilder('archive', '', scratchDirectory());
const scratch = scratchDirectory();
let count = 0;

function task(content: string) {
  const checksum = repo.file({ content });
  const info = openRepo(repo.path).fileInfo(checksum);
  const objects = [{ checksum, paths: [`/${content.slice(0, 9)}` as const], info }];
  const spec: ChunkLayerSpec = {
    kind: 'chunk',
    objects,
    directories: new Map(),
    contentSize: content.length,
  };
  return { spec, path: join(scratch, `layer-${count++}`), checksum };
}

function write(
  tasks: readonly ReturnType<typeof task>[],
  jobs: number,
  signal = new AbortController().signal,
  onProgress = (_bytes: number) => {},
) {
  return writeLayers(tasks, {
    repoPath: repo.path,
    compression: { name: 'gzip', level: 1 },
    jobs,
    signal,
    onProgress,
  });
}

test('results are in the order of the tasks and the same for any number of workers', async () => {
  const contents = Array.from({ length: 7 }, (_, i) => `content ${i} `.repeat(((i * 5) % 7) + 1));
  const results = [];
  for (const jobs of [1, 3, 20]) {
    results.push(await write(contents.map(task), jobs));
  }
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[2], results[0]);
  const again = contents.map(task);
  const [first] = await write(again, 2);
  const tar = gunzipSync(readFileSync(again[0]?.path ?? ''));
  assert.equal(tar.length, first?.tarSize);
  assert.ok(tar.includes(contents[0] as string));
});

test('a layer has the same bytes when idle workers compress some of its blocks', async () => {
  const content = Buffer.alloc(30 << 20, 'something long ').toString();
  const results = [];
  for (const jobs of [1, 2, 5]) {
    results.push(await write([task(content), task('short')], jobs));
  }
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[2], results[0]);
});

test('no tasks give no results', async () => {
  assert.deepEqual(await write([], 4), []);
});

test('progress is reported in bytes of tar, several times per layer', async () => {
  const steps: number[] = [];
  const [result] = await write([task('0123456789'.repeat(2_000_000))], 1, undefined, (bytes) =>
    steps.push(bytes),
  );
  const sum = steps.reduce((total, bytes) => total + bytes, 0);
  assert.ok(steps.length > 1 && sum <= (result?.tarSize ?? 0), `${steps}`);
});

test('the first failure ends all workers and is the error', async () => {
  const tasks = ['a', 'b', 'c'].map((name) => task(`broken ${name}`));
  rmSync(join(repo.path, 'objects', objectPath(tasks[1]?.checksum ?? '', 'filez')));
  await assert.rejects(write(tasks, 2), {
    code: 'NOT_FOUND',
    message: new RegExp(tasks[1]?.checksum ?? ''),
  });
});

test('an existing file is not overwritten, and the error names it', async () => {
  const first = task('twice');
  await write([first], 1);
  await assert.rejects(write([first], 1), {
    code: 'IO',
    message: new RegExp(`writing ${first.path}: EEXIST`),
  });
});

test('a canceled signal stops writing, and nothing is written after it', async () => {
  const controller = new AbortController();
  const started = write([task('0123456789'.repeat(3_000_000))], 1, controller.signal, () =>
    controller.abort(),
  );
  await assert.rejects(started, { code: 'CANCELLED' });
  const late = task('late');
  await assert.rejects(write([late], 1, controller.signal), { code: 'CANCELLED' });
  assert.equal(existsSync(late.path), false);
});
