/** Updates are pulled by a delta; one that fails, or lies, costs a warning and nothing else. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { pullImage } from '../../src/client/pull.js';
import type { ImportEvent, ImportOptions } from '../../src/client/session.js';
import { previewImport } from '../../src/client/session.js';
import { unencapsulate } from '../../src/client/unencapsulate.js';
import { createDeltas } from '../../src/delta/create.js';
import { DELTA_LEVELS } from '../../src/delta/levels.js';
import { type Logger, type ProgressEvent, silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import { blobPath } from '../../src/oci/image-layout.js';
import { sha256Digest } from '../../src/oci/json.js';
import { listRefs } from '../../src/ostree/refs.js';
import { openZstdLibrary } from '../../src/system/zstd-library.js';
import {
  encodeCopy,
  encodeOpen,
  encodeSeek,
  encodeZstdDict,
} from '../../src/tar-diff/operations.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { type ForgedEntry, forgePlain, writeTar } from '../support/forge-image.js';
import { filesBelow, importOptions, newRepo } from '../support/import-image.js';
import { scratchDirectory } from '../support/scratch.js';
import { tarDiff } from '../support/tar-diff.js';
import { data, diffOf, writeDelta } from '../support/write-delta.js';

const MIB = 1 << 20;

/** Returns text that does not compress well, the same for the same seed. */
function text(size: number, seed: string): string {
  const lines = Array.from({ length: Math.ceil(size / 64) }, (_, i) =>
    createHash('sha256').update(`${seed}${i}`).digest('hex'),
  );
  return lines.join('').slice(0, size);
}

const file = (name: string, content: string | Buffer): ForgedEntry => ({
  ...{ name, type: 'file', content: Buffer.from(content), mode: 0o644 },
});

const same = file('usr/same', text(30_000, 'same'));
const conf = file('etc/conf', text(20_000, 'conf'));
/** The header of a directory, again and again. */
const header = writeTar([{ name: 'usr/x', type: 'directory', mode: 0o755 }]).subarray(0, 512);
const headers = file('usr/headers', Buffer.alloc(MIB, header));
const large = file('usr/large', text(5 * MIB, 'large'));
const kept = [file('usr/kept', 'kept')];
const newLayers = [
  [conf, file('usr/new', 'new'), same],
  [large, file('usr/other', 'other')],
];
const PATHS = [same.name, conf.name, large.name];

interface Warnings extends Logger {
  readonly warnings: string[];
}

function collectWarnings(): Warnings {
  const warnings: string[] = [];
  return { ...silentLogger, warnings, warn: (message) => void warnings.push(message) };
}

suite('the pull of an update by a delta', () => {
  let old: ImageReader;
  let target: ImageReader;
  /** A repository with the old image. */
  const pulled = newRepo();
  let oldImgref = '';
  let imgref = '';
  /** What a pull by layers makes. */
  let expected: { readonly mergeCommit: string; readonly refs: readonly string[] };
  const good = () => newLayers.map((layer) => diffOf(layer, PATHS));

  before(async () => {
    ({ imgref: oldImgref } = forgePlain([kept, [same, conf, headers, large]]));
    ({ imgref } = forgePlain([kept, ...newLayers]));
    old = await openImage(oldImgref);
    target = await openImage(imgref);
    await pullImage(importOptions(pulled, oldImgref));
    const repo = repoWithOld();
    const { mergeCommit, layersRebuilt } = await pullImage(importOptions(repo, imgref));
    assert.equal(layersRebuilt, 0);
    expected = { mergeCommit, refs: listRefs(repo, '') };
  });

  /** Returns a repository into which the old image was pulled. */
  function repoWithOld(): string {
    const repo = join(scratchDirectory(), 'repo');
    cpSync(pulled, repo, { recursive: true });
    return repo;
  }

  /** Writes a delta with these tar-diffs of the two new layers. */
  async function deltaOf(...tarDiffs: readonly Uint8Array[]): Promise<string> {
    const place = `oci:${join(scratchDirectory(), 'delta')}`;
    await writeDelta(place, old, target, new Map(tarDiffs.map((bytes, i) => [i + 1, bytes])));
    return place;
  }

  function optionsFor(repo: string, place: string, log: Logger = silentLogger): ImportOptions {
    return { ...importOptions(repo, imgref), delta: { imgref: place }, log };
  }

  /** Asserts that a pull with this delta succeeds and leaves what a pull by layers does. */
  async function pullsWith(place: string, repo?: string) {
    const path = repo ?? repoWithOld();
    const log = collectWarnings();
    const result = await pullImage(optionsFor(path, place, log));
    assert.equal(result.mergeCommit, expected.mergeCommit);
    assert.deepEqual(listRefs(path, ''), expected.refs);
    assert.deepEqual(filesBelow(join(path, 'tmp')), []);
    return { result, warnings: log.warnings };
  }

  test('makes the same merge commit and refs of fewer bytes', async () => {
    const { result, warnings } = await pullsWith(await deltaOf(...good()));
    assert.deepEqual(warnings, []);
    const { layersFetched, layersRebuilt, bytesFetched, bytesByLayers } = result;
    assert.deepEqual([layersFetched, layersRebuilt], [2, 2]);
    const size = good().reduce((sum, { length }) => sum + length, 0);
    assert.equal(bytesFetched, size);
    assert.ok(size < 2000 && bytesByLayers > 2 * MIB, `${size} of ${bytesByLayers} bytes`);
  });

  test('is planned with the bytes of both ways', async () => {
    const events: ImportEvent[] = [];
    const options = optionsFor(repoWithOld(), await deltaOf(...good()));
    const { counts, delta } = await previewImport({
      ...options,
      onEvent: (event) => events.push(event),
    });
    assert.ok(delta !== undefined);
    assert.deepEqual(events, [
      {
        event: 'planned',
        manifestDigest: target.manifestDigest,
        layersNeeded: 2,
        layersPresent: 1,
        bytesNeeded: counts.bytesFetched,
        bytesByLayers: counts.bytesByLayers,
        delta: delta.image.manifestDigest,
      },
    ]);
  });

  test('fetches layers that the delta lacks as they are', async () => {
    const { result, warnings } = await pullsWith(await deltaOf(...good().slice(0, 1)));
    assert.deepEqual([result.layersFetched, result.layersRebuilt], [2, 1]);
    assert.deepEqual(warnings, []);
  });

  test('needs no delta if all layers are there', async () => {
    const repo = repoWithOld();
    await pullImage(importOptions(repo, imgref));
    const { result } = await pullsWith('oci:/no/such/delta', repo);
    assert.equal(result.layersFetched, 0);
  });

  test('continues after an interruption', async () => {
    const repo = repoWithOld();
    const controller = new AbortController();
    const log = collectWarnings();
    const place = await deltaOf(...good());
    const interrupted = pullImage({
      ...optionsFor(repo, place, log),
      jobs: 1,
      signal: controller.signal,
      onEvent: ({ event }) => event === 'fetching' && controller.abort(),
    });
    await assert.rejects(interrupted, { code: 'CANCELLED' });
    assert.deepEqual(log.warnings, [], 'a cancelled pull does not fall back');
    assert.deepEqual(filesBelow(join(repo, 'tmp')), []);
    const { result } = await pullsWith(place, repo);
    assert.equal(result.layersRebuilt, 2);
  });

  test('with a named delta of another image is an error', async () => {
    const place = `oci:${join(scratchDirectory(), 'delta')}`;
    await writeDelta(place, target, old, new Map());
    const pulling = pullImage(optionsFor(repoWithOld(), place));
    await assert.rejects(pulling, {
      code: 'CORRUPT',
      message: /importing oci:.*: reading oci:.*: it is for an image with the manifest sha256:/,
    });
  });

  test('with a named delta from an image that the repository lacks is an error', async () => {
    const pulling = pullImage(optionsFor(newRepo(), await deltaOf(...good())));
    await assert.rejects(pulling, {
      code: 'NOT_FOUND',
      message: /oci:.* needs the image with the config sha256:.*, which is not in /,
    });
  });

  const tar = writeTar(newLayers[0] ?? assert.fail());
  const open = (path: string) => Buffer.concat([Buffer.from([1, path.length]), Buffer.from(path)]);
  /** A frame that states a window of 2 GiB. */
  const hugeWindow = Buffer.from('28b52ffd00a8010000', 'hex');
  const huge = writeTar([{ name: 'usr/huge', type: 'file', size: 2 ** 50 }]).subarray(0, 512);
  const copies = Array.from({ length: 400 }, () => [encodeSeek(0), encodeCopy(MIB)]).flat();
  const lies: readonly [string, () => Uint8Array, RegExp][] = [
    ['is no tar-diff', () => Buffer.from('hello'), /begins with/],
    ['ends early', () => tarDiff(2, [data(tar.subarray(0, 1000))]), /ends within|truncated|end/],
    ['makes another tar', () => tarDiff(2, [data(writeTar(kept))]), /diff_id: stated sha256:/],
    ['names a missing file', () => tarDiff(2, [encodeOpen('etc/shadow')]), /no file etc\/shadow/],
    ['names a directory', () => tarDiff(2, [encodeOpen('usr')]), /a directory and no file usr/],
    ['names a file of the host', () => tarDiff(2, [open('../../etc/passwd')]), /not relative/],
    ['names an absolute path', () => tarDiff(2, [open('/etc/passwd')]), /not relative/],
    [
      'names an object of the repository',
      () => tarDiff(2, [open('sysroot/ostree/repo/config')]),
      /not a file of the root/,
    ],
    [
      'copies beyond the end',
      () => tarDiff(2, [encodeOpen('usr/same'), encodeSeek(29_999), encodeCopy(2)]),
      /copy at offset 14: needs 2 bytes at 29999 of usr\/same, which has 30000/,
    ],
    [
      'copies without end',
      () => tarDiff(2, [encodeOpen('usr/headers'), ...copies]),
      /expands to more than \d+ bytes/,
    ],
    [
      'is a decompression bomb',
      () => tarDiff(2, [data(Buffer.concat([tar, Buffer.alloc(100 * MIB)]))]),
      /more than 1048576 bytes after the end of the tar archive/,
    ],
    [
      'needs a huge window',
      () => tarDiff(2, [encodeOpen('usr/same'), encodeZstdDict(hugeWindow.length), hugeWindow]),
      /a window of 2147483648 bytes, at most/,
    ],
    [
      'states a huge file',
      () => tarDiff(2, [data(huge)]),
      /no space: an object of 1125899906842624/,
    ],
  ];
  for (const [what, lie, message] of lies) {
    test(`takes the layers if a tar-diff ${what}`, async () => {
      const [, second = Buffer.alloc(0)] = good();
      const { result, warnings } = await pullsWith(await deltaOf(lie(), second));
      assert.equal(result.layersFetched, 2);
      assert.ok(result.layersRebuilt < 2);
      assert.equal(warnings.length, 1);
      const [warning = ''] = warnings;
      assert.match(warning, /^the delta fails, .*: layer 1: /);
      assert.match(warning, message);
    });
  }

  test('takes the layers if a blob of the delta is missing', async () => {
    const place = await deltaOf(...good());
    const [first = Buffer.alloc(0)] = good();
    rmSync(join(place.slice('oci:'.length), blobPath(sha256Digest(first))));
    const { warnings } = await pullsWith(place);
    assert.equal(warnings.length, 1);
    assert.match(warnings.join(), /layer 1: .*blobs\/sha256/);
  });

  const bad = Buffer.from('hello');
  const failing: readonly [string, number, (good: readonly Buffer[]) => readonly Buffer[]][] = [
    ['both layers at once', 2, () => [bad, Buffer.from('other')]],
    ['the first layer', 1, ([, second = bad]) => [bad, second]],
    ['the second layer', 1, ([first = bad]) => [first, bad]],
  ];
  for (const [which, jobs, tarDiffs] of failing) {
    test(`counts its progress to the end if the tar-diffs of ${which} fail`, async () => {
      const steps: ProgressEvent[] = [];
      const progress = (event: ProgressEvent) => {
        if (event.work === 'fetching layers') {
          steps.push(event);
        }
      };
      const log: Logger = { ...silentLogger, progress };
      const options = optionsFor(repoWithOld(), await deltaOf(...tarDiffs(good())), log);
      const { bytesFetched } = await pullImage({ ...options, jobs });
      const last = steps.at(-1);
      const counts = [last?.event, last?.done, last?.total];
      assert.deepEqual(counts, ['end', bytesFetched, bytesFetched]);
      assert.ok(steps.every((step) => step.done <= (step.total ?? 0)));
    });
  }

  test('warns once if several layers fail', async () => {
    const { result, warnings } = await pullsWith(await deltaOf(bad, Buffer.from('other')));
    assert.equal(result.layersRebuilt, 0);
    assert.equal(warnings.length, 1);
  });
});

const native = { skip: openZstdLibrary() === undefined && 'needs Linux with glibc and koffi' };

suite('the pull of an encapsulated update by a delta', native, () => {
  test('makes the same commit, and so does unencapsulate', async () => {
    const library = text(200_000, 'library');
    const treeOf = (change: string) =>
      dir({
        etc: dir({ conf: text(5000, 'conf') }),
        usr: dir({ lib: `${library}${change}`, same: text(50_000, 'same') }),
      });
    const old = await buildImage(treeOf('old'));
    const updated = await buildImage(treeOf('new'), { previous: old.image });
    const place = `oci:${join(scratchDirectory(), 'delta')}`;
    const context = { log: silentLogger, signal: new AbortController().signal };
    const level = DELTA_LEVELS.get('fast') ?? assert.fail();
    const requests = [{ source: old.image, writer: await createImage(place) }];
    await createDeltas(updated.image, requests, { ...context, level, jobs: 1 });

    const pullBoth = async (delta: ImportOptions['delta']) => {
      const repo = newRepo();
      await pullImage(importOptions(repo, old.imgref));
      return pullImage({ ...importOptions(repo, updated.imgref), delta });
    };
    const byLayers = await pullBoth('none');
    const byDelta = await pullBoth({ imgref: place });
    assert.equal(byDelta.mergeCommit, byLayers.mergeCommit);
    assert.equal(byDelta.commit, byLayers.commit);
    assert.ok(byDelta.layersRebuilt > 0);
    assert.ok(byDelta.bytesFetched < byDelta.bytesByLayers / 5);

    const repo = newRepo();
    await pullImage(importOptions(repo, old.imgref));
    const options = { ...importOptions(repo, updated.imgref), delta: { imgref: place } };
    const { commit, layersRebuilt } = await unencapsulate(options);
    assert.equal(commit, byLayers.commit);
    assert.equal(layersRebuilt, byDelta.layersRebuilt);
  });
});
