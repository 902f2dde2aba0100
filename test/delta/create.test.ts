// Making deltas: several to one image, what is read for them, and where they go.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { DELTA_TYPE, readDelta } from '../../src/delta/artifact.js';
import { createDeltas } from '../../src/delta/create.js';
import { DELTA_LEVELS } from '../../src/delta/levels.js';
import { silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import { openZstdLibrary } from '../../src/system/zstd-library.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { ostrata, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

const level = DELTA_LEVELS.get('fast') ?? assert.fail();
const skip = openZstdLibrary() === undefined && 'needs Linux with glibc and koffi';

/** Returns a file of noise in which one line depends on `change`. */
function file(name: string, change: string): ForgedEntry {
  const lines = Array.from({ length: 500 }, (_, i) => (i === 250 ? change : `${name}${i}`));
  const noise = lines.map((line) => createHash('sha256').update(line).digest('hex'));
  return { ...{ name, type: 'file', content: Buffer.from(noise.join('\n')), mode: 0o644 } };
}

/** Images of three layers: one that stays, one file of which changes, and one with a new file. */
const imageOf = (change: string) =>
  forgePlain([[file('usr/kept', '')], [file('usr/a', change)], [file('usr/b', change)]]).imgref;
const withoutTag = (imgref: string) => imgref.replace(/:[^:/]*$/, '');
const older = imageOf('1');
const old = imageOf('2');
const target = imageOf('3');

/** Opens an image, and counts how often each of its layers is read. */
async function counting(imgref: string) {
  const image = await openImage(imgref);
  const { layers } = image.manifest;
  const reads = layers.map(() => 0);
  const counted: ImageReader = {
    ...image,
    blob: (descriptor) => {
      const index = layers.findIndex(({ digest }) => digest === descriptor.digest);
      reads[index] = (reads[index] ?? 0) + 1;
      return image.blob(descriptor);
    },
  };
  return { image: counted, reads };
}

const options = () => ({
  log: silentLogger,
  signal: new AbortController().signal,
  spool: scratchDirectory(),
  level,
  jobs: 2,
});
const newWriter = () => createImage(`oci:${join(scratchDirectory(), 'delta')}`);

const report = v.object({
  source: v.string(),
  manifestDigest: v.string(),
  size: v.number(),
  layersSize: v.number(),
});

const counts = v.object({
  layersSize: v.number(),
  reused: v.number(),
  layers: v.array(v.object({ index: v.number(), size: v.number() })),
});

suite('making deltas', { skip }, () => {
  test('of several images to one reads its new layers once', async () => {
    const { image, reads } = await counting(target);
    const requests = [];
    for (const imgref of [older, old]) {
      requests.push({ source: await openImage(imgref), writer: await newWriter() });
    }
    const created = await createDeltas(image, requests, options());
    assert.deepEqual(reads, [0, 1, 1]);
    assert.deepEqual(
      created.map(({ layers, reused }) => [layers.length, reused]),
      [
        [2, 1],
        [2, 1],
      ],
    );
    assert.notEqual(created[0]?.manifestDigest, created[1]?.manifestDigest);
  });

  test('reads of an old image that is known only the layers with changed files', async () => {
    const kept = new Map<string, Uint8Array>();
    const indexes = {
      load: (diffId: string) => kept.get(diffId),
      save: (diffId: string, index: Uint8Array) => void kept.set(diffId, index),
    };
    const digests = [];
    const allReads = [];
    for (let i = 0; i < 2; i++) {
      const { image: source, reads } = await counting(old);
      const requests = [{ source, writer: await newWriter() }];
      const created = await createDeltas(await openImage(target), requests, {
        ...options(),
        indexes,
      });
      digests.push(created[0]?.manifestDigest);
      allReads.push(reads);
    }
    assert.deepEqual(allReads, [
      [1, 1, 1],
      [0, 1, 1],
    ]);
    assert.equal(digests[0], digests[1]);
  });

  test('gives a layer once that the new image has twice', async () => {
    const twice = [file('usr/b', '2')];
    const before = forgePlain([[file('usr/a', '1')]]).imgref;
    const after = forgePlain([[file('usr/a', '1')], twice, [file('usr/c', '3')], twice]).imgref;
    const delta = `oci:${join(scratchDirectory(), 'delta')}`;
    const out = `oci:${join(scratchDirectory(), 'out')}:x`;

    const created = ostrata(['delta', 'create', '--json', before, after, delta]);
    assert.deepEqual(
      parseJson(created, counts).layers.map(({ index }) => index),
      [1, 2],
    );
    const inspected = ostrata(['delta', 'inspect', '--json', delta]);
    assert.deepEqual(parseJson(inspected, counts), parseJson(created, counts));
    ostrata(['delta', 'apply', delta, out, '--source', before]);
  });

  test('leaves out one that is not smaller than the layers, if that is asked for', async () => {
    const image = await openImage(target);
    const directory = join(scratchDirectory(), 'delta');
    const writer = await createImage(`oci:${directory}`);
    const requests = [{ source: image, writer }];
    const [delta] = await createDeltas(image, requests, { ...options(), isSmallerOnly: true });
    assert.equal(delta?.isWritten, false);
    await writer.discard();
    assert.equal(existsSync(directory), false);
  });

  test('puts several beside the new image, where each is found by its source', async () => {
    const imgref = imageOf('3');
    const lines = ostrata(['delta', 'create', '--json', `--from=${older}`, old, imgref]);
    const made = lines
      .trim()
      .split('\n')
      .map((line) => parseJson(line, report));
    assert.deepEqual(
      made.map(({ source }) => source),
      [old, older],
    );
    const image = await openImage(imgref);
    const referrers = (await image.referrers?.(DELTA_TYPE)) ?? [];
    assert.deepEqual(
      referrers.map(({ digest }) => digest),
      made.map(({ manifestDigest }) => manifestDigest),
    );
    for (const [i, manifest] of referrers.entries()) {
      const artifact = await openImage(imgref, { manifest, artifactType: DELTA_TYPE });
      const delta = await readDelta(artifact);
      const source = await openImage([old, older][i] ?? '');
      assert.equal(delta.sourceConfig, source.manifest.config.digest);
      assert.equal(delta.target.manifestDigest, image.manifestDigest);
    }
    ostrata(['verify', imgref]);
  });

  const refused: readonly [string, readonly string[], RegExp, number][] = [
    ['several into one place', [`--from=${older}`, old, target, 'oci:out'], /argument oci:out/, 2],
    ['beside an image without a tag', [old, withoutTag(target)], /needs a tag, oci:DIR:TAG/, 2],
    ['beside an archive', [old, 'oci-archive:a'], /holds no artifacts beside an image.*oci:/, 1],
    ['from a missing image', ['oci:missing', target], /the folder missing does not exist/, 1],
  ];
  for (const [what, args, expected, status] of refused) {
    test(`${what} is refused`, () => {
      const result = tryOstrata(['delta', 'create', ...args]);
      assert.match(result.stderr, expected);
      assert.equal(result.status, status);
    });
  }
});
