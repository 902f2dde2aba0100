import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { pullImage } from '../../src/client/pull.js';
import { applyDelta, type DeltaSource } from '../../src/delta/apply.js';
import { DELTA_TYPE, type Delta, readDelta, TAR_DIFF } from '../../src/delta/artifact.js';
import { createDeltas } from '../../src/delta/create.js';
import { DELTA_LEVELS } from '../../src/delta/levels.js';
import { silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import { blobPath } from '../../src/oci/image-layout.js';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { openZstdLibrary } from '../../src/system/zstd-library.js';
import { encodeCopy, encodeData, encodeOpen } from '../../src/tar-diff/operations.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import { openImageTree } from '../../src/tree/image.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { type ForgedEntry, forge as forgeImage, forgePlain } from '../support/forge-image.js';
import { importOptions, newRepo } from '../support/import-image.js';
import { randomNumbers } from '../support/random-damage.js';
import { ostrata, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { tarDiff } from '../support/tar-diff.js';

const context = { log: silentLogger, signal: new AbortController().signal };
const spool = scratchDirectory();
const level = DELTA_LEVELS.get('default') ?? assert.fail();
const skip = openZstdLibrary() === undefined && 'needs Linux with glibc and koffi';

/** Returns text that does not compress well, the same for the same seed. */
function text(size: number, seed: string): string {
  const lines = Array.from({ length: Math.ceil(size / 65) }, (_, i) =>
    createHash('sha256').update(`${seed}${i}`).digest('hex'),
  );
  return `${lines.join('\n')}\n`.slice(0, size);
}

const library = text(200_000, 'library');
const oldTree = dir({
  opt: dir({ same: text(10_000, 'same') }),
  usr: dir({
    lib: dir({ 'kept.so': text(50_000, 'kept'), 'libfoo.so.1.2.3': library }),
    share: dir({ data: text(30_000, 'data'), moved: text(20_000, 'moved') }),
  }),
});
const newTree = dir({
  opt: dir({ same: text(10_000, 'same') }),
  usr: dir({
    lib: dir({
      'kept.so': text(50_000, 'kept'),
      'libfoo.so.1.2.4': `${library.slice(0, 90_000)}changed${library.slice(90_500)}`,
      moved: text(20_000, 'moved'),
      tiny: 'x',
    }),
    share: dir({ data: text(30_000, 'other data') }),
  }),
});

/** Returns a tree with a file of zeros, but for a random byte in every `distance`. */
function sparseTree(distance: number) {
  const random = randomNumbers(1);
  const content = Buffer.alloc(200_000);
  for (let at = 0; at < content.length; at += distance) {
    content.writeUInt8(random(256), at);
  }
  return dir({ usr: dir({ lib: dir({ journal: { content }, kept: text(90_000, 'kept') }) }) });
}

/** Returns a tree with 30,000 random bytes of addresses, to each of which `moved` is added. */
function moduleTree(moved: number) {
  const random = randomNumbers(1);
  const content = Buffer.alloc(10_000 * 24);
  for (let at = 0; at < content.length; at += 24) {
    content.writeUInt32LE(random(2 ** 24) + moved, at);
  }
  return dir({ usr: dir({ lib: dir({ 'module.ko': { content } }) }) });
}

const PREFIX = 'io.github.containers.delta.';
const layoutIndex = v.looseObject({
  manifests: v.array(v.looseObject({ digest: v.string() })),
});
const forgedManifest = v.looseObject({
  layers: v.array(
    v.looseObject({ mediaType: v.string(), annotations: v.record(v.string(), v.string()) }),
  ),
  subject: v.looseObject({ digest: v.string() }),
  annotations: v.record(v.string(), v.string()),
});
type ForgedManifest = v.InferOutput<typeof forgedManifest>;

async function makeDelta(from: ImageReader, to: ImageReader, jobs = 2): Promise<string> {
  const imgref = `oci:${join(scratchDirectory(), 'delta')}`;
  const writer = await createImage(imgref);
  await createDeltas(to, [{ source: from, writer }], { ...context, spool, level, jobs });
  return imgref;
}

const openDelta = (imgref: string) => openImage(imgref, { artifactType: DELTA_TYPE });

async function apply(deltaImgref: string, source: DeltaSource) {
  const image = await openDelta(deltaImgref);
  const out = `oci:${join(scratchDirectory(), 'out')}`;
  const writer = await createImage(out);
  try {
    const delta = await readDelta(image);
    const applied = await applyDelta(image, delta, source, writer, { ...context, spool });
    return { out, applied };
  } finally {
    await writer.discard();
  }
}

suite('a delta', { skip }, () => {
  let old: Awaited<ReturnType<typeof buildImage>>;
  let target: Awaited<ReturnType<typeof buildImage>>;
  let imgref: string;

  before(async () => {
    old = await buildImage(oldTree);
    target = await buildImage(newTree, { previous: old.image });
    imgref = await makeDelta(old.image, target.image);
  });

  const sourceOf = async (image: ImageReader): Promise<DeltaSource> => ({
    tree: await openImageTree(image),
    image,
  });

  test('holds what changed inside the files', async () => {
    const delta = await readDelta(await openDelta(imgref));
    const [usr] = delta.layers.filter(({ blob }) => (blob?.size ?? 0) > 10_000);
    assert.ok(usr?.blob);
    assert.equal(usr.blob.mediaType, TAR_DIFF);
    // Data of 30,000 characters of hex is new.
    const share = usr.blob.size / usr.descriptor.size;
    assert.ok(share < 0.16, `${usr.blob.size} of ${usr.descriptor.size} bytes`);
    assert.deepEqual(
      delta.layers.filter(({ blob }) => blob === undefined).map(({ diffId }) => diffId),
      target.written.layers.filter(({ reused }) => reused).map(({ diffId }) => diffId),
    );
  });

  const updates = [
    ['a table of addresses that all moved', moduleTree(0), moduleTree(4), 15_000],
    ['a file in whose place zeros are', sparseTree(5), sparseTree(50_000), 6000],
  ] as const;
  for (const [what, before, after, most] of updates) {
    test(`holds next to nothing of ${what}`, async () => {
      const from = await buildImage(before);
      const to = await buildImage(after, { previous: from.image });
      const image = await openDelta(await makeDelta(from.image, to.image));
      const delta = await readDelta(image);
      const size = delta.layers.reduce((sum, { blob }) => sum + (blob?.size ?? 0), 0);
      assert.ok(size < most, `${size} bytes`);
    });
  }

  test('gives the target image, byte for byte', async () => {
    const { out, applied } = await apply(imgref, await sourceOf(old.image));
    assert.equal(applied.manifestDigest, target.image.manifestDigest);
    assert.equal(applied.isTarget, true);
    assert.ok(applied.rebuilt > 0 && applied.reused > 0);
    ostrata(['verify', out]);
  });

  test('is the same whatever the number of jobs', async () => {
    const other = await openDelta(await makeDelta(old.image, target.image, 1));
    assert.equal(other.manifestDigest, (await openDelta(imgref)).manifestDigest);
  });

  test('is applied to an ostree repository, whose layers are then left out', async () => {
    const repo = newRepo();
    await pullImage(importOptions(repo, old.imgref));
    const out = `oci:${join(scratchDirectory(), 'out')}`;
    const report = ostrata(['delta', 'apply', imgref, out, '--source', repo, '--json']);
    const { manifestDigest, omitted } = parseJson(
      report,
      v.object({ manifestDigest: v.string(), omitted: v.number() }),
    );
    assert.equal(manifestDigest, target.image.manifestDigest);
    assert.ok(omitted > 0);
    await pullImage(importOptions(repo, out));
  });

  test('of plain images is applied to a repository, which has /etc in /usr', async () => {
    const file = (name: string, content: string): ForgedEntry => ({
      ...{ name, type: 'file', content: Buffer.from(content), mode: 0o644 },
    });
    const conf = text(20_000, 'conf');
    const unusable = ['var/log', 'tmp/left', 'run/left'].map((name) =>
      file(name, text(20_000, name)),
    );
    const before = forgePlain([[file('usr/a', 'a')], [file('etc/conf', conf), ...unusable]]);
    const after = forgePlain([[file('usr/a', 'a')], [file('etc/conf', `${conf}x`), ...unusable]]);
    const plainDelta = await makeDelta(
      await openImage(before.imgref),
      await openImage(after.imgref),
    );
    const repo = newRepo();
    await pullImage(importOptions(repo, before.imgref));
    const out = `oci:${join(scratchDirectory(), 'out')}`;
    ostrata(['delta', 'apply', plainDelta, out, '--source', repo]);
  });

  test('takes nothing from files of derived layers that a system may leave out', async () => {
    const layerOf = (change: string): readonly ForgedEntry[] =>
      ['usr/vendor', 'opt/vendor'].map((name) => ({
        ...{ name, type: 'file', content: Buffer.from(text(20_000, name) + change), mode: 0o644 },
      }));
    const imageOf = (change: string) => forgeImage(old.image, () => {}, {}, [layerOf(change)]);
    const [before, after] = [await imageOf('old'), await imageOf('new')];
    const place = await makeDelta(await openImage(before.imgref), await openImage(after.imgref));
    const repo = newRepo();
    await pullImage(importOptions(repo, before.imgref));
    const options = { ...importOptions(repo, after.imgref), delta: { imgref: place } };
    const { layersRebuilt } = await pullImage(options);
    assert.equal(layersRebuilt, 1);
  });

  test('between images with the same layers holds no layer', async () => {
    const delta = await readDelta(await openDelta(await makeDelta(old.image, old.image)));
    assert.ok(delta.layers.every(({ blob }) => blob === undefined));
  });

  test('is refused with another image, which is named with what is needed', () => {
    const out = join(scratchDirectory(), 'out');
    const source = target.imgref;
    const result = tryOstrata(['delta', 'apply', imgref, `oci:${out}`, '--source', source]);
    assert.equal(result.status, 1);
    const needed = old.image.manifest.config.digest;
    assert.match(result.stderr, new RegExp(`has the config .*needs the image with ${needed}`));
    assert.equal(existsSync(out), false);
  });

  test('is no image, and an image is no delta', () => {
    const inspected = tryOstrata(['delta', 'inspect', old.imgref]);
    assert.equal(inspected.status, 1);
    assert.match(inspected.stderr, /is of the type application\/vnd.oci.image.config.*expected/);
    const asImage = tryOstrata(['inspect', imgref]);
    assert.equal(asImage.status, 1);
    assert.match(asImage.stderr, /its config is of media type application\/vnd\.oci\.empty/);
  });

  test('is not written over one of its images', () => {
    const result = tryOstrata(['delta', 'create', old.imgref, target.imgref, target.imgref]);
    assert.equal(result.status, 2);
    const host = 'registry:localhost:1/os';
    const latest = tryOstrata(['delta', 'create', old.imgref, host, `${host}:latest`]);
    assert.match(latest.stderr, /is one of the images; the delta needs another name/);
  });

  interface Forged {
    /** Changes the manifest. */
    readonly change?: (manifest: ForgedManifest) => void;
    /** Replaces the first tar-diff. */
    readonly tarDiff?: Uint8Array;
  }

  /** Returns a copy of the delta with changes; all digests are right. */
  function forge({ change, tarDiff: forged }: Forged): string {
    const from = imgref.slice('oci:'.length);
    const directory = join(scratchDirectory(), 'forged');
    const index = parseJson(readFileSync(join(from, 'index.json'), 'utf8'), layoutIndex);
    const digest = index.manifests[0]?.digest ?? assert.fail();
    const bytes = readFileSync(join(from, blobPath(digest)), 'utf8');
    const manifest: ForgedManifest = parseJson(bytes, forgedManifest);
    cpSync(from, directory, { recursive: true });
    const write = (content: Uint8Array) => {
      const name = sha256Digest(content);
      writeFileSync(join(directory, blobPath(name)), content);
      return { digest: name, size: content.length };
    };
    const layer = manifest.layers.find(({ mediaType }) => mediaType === TAR_DIFF);
    if (forged !== undefined && layer !== undefined) {
      Object.assign(layer, write(forged));
    }
    change?.(manifest);
    const described = { ...index.manifests[0], ...write(canonicalJson(manifest)) };
    const newIndex = canonicalJson({ ...index, manifests: [described] });
    writeFileSync(join(directory, 'index.json'), newIndex);
    return `oci:${directory}`;
  }

  const malformed: readonly [string, (manifest: ForgedManifest) => void, RegExp][] = [
    [
      'without the config of its source',
      ({ annotations }) => delete annotations[`${PREFIX}source-config`],
      /annotation .*source-config: expected a digest, got undefined/,
    ],
    [
      'whose subject is another image',
      ({ subject }) => Object.assign(subject, { digest: `sha256:${'0'.repeat(64)}` }),
      /subject: is sha256:0{64}, but the delta holds sha256:/,
    ],
    [
      'without a manifest',
      ({ layers }) => layers.shift(),
      /0 layers with the content image-manifest/,
    ],
    [
      'with two configs',
      ({ layers }) => layers.push(layers[1] ?? assert.fail()),
      /2 layers with the content image-config, expected one/,
    ],
    [
      'that lacks a layer',
      ({ layers }) => layers.splice(2, 1),
      /layer \d+ \(sha256:.*\) is neither in it nor reused/,
    ],
    [
      'with two layers for one',
      ({ layers }) => layers.push(layers[2] ?? assert.fail()),
      /it has two layers for sha256:/,
    ],
    [
      'for a layer of another image',
      ({ layers }) => {
        const { annotations } = layers[2] ?? assert.fail();
        annotations[`${PREFIX}to`] = `sha256:${'0'.repeat(64)}`;
      },
      /a layer for sha256:0{64}, which the target image lacks/,
    ],
    [
      'with a layer of another media type',
      ({ layers }) => Object.assign(layers[2] ?? assert.fail(), { mediaType: 'text/plain' }),
      /is of media type text\/plain/,
    ],
    [
      'with a list of layers that is none',
      ({ annotations }) => {
        annotations[`${PREFIX}reused-diff-id`] = '[1]';
      },
      /annotation .*reused-diff-id/,
    ],
  ];
  for (const [what, change, expected] of malformed) {
    test(`${what} is refused`, async () => {
      const image = await openDelta(forge({ change }));
      await assert.rejects(readDelta(image), { code: 'CORRUPT', message: expected });
    });
  }

  test('with a layer whose content is unknown is read', async () => {
    const add = ({ layers }: ForgedManifest) => {
      const [layer] = layers;
      const annotations = { [`${PREFIX}content`]: 'cosign-signature' };
      layers.push({ ...(layer ?? assert.fail()), annotations });
    };
    await readDelta(await openDelta(forge({ change: add })));
  });

  const lies: readonly [string, Uint8Array, object][] = [
    [
      'makes another tar',
      tarDiff(1, [encodeData(1), Buffer.from('x')]),
      {
        code: 'CORRUPT',
        message: /rebuilding layer \d+: its tar has the diff_id sha256:.*, expected sha256:/,
      },
    ],
    [
      'names a missing file',
      tarDiff(2, [encodeOpen('etc/shadow')]),
      { code: 'NOT_FOUND', message: /has no file etc\/shadow/ },
    ],
    [
      'names a directory',
      tarDiff(2, [encodeOpen('usr/lib')]),
      { code: 'NOT_FOUND', message: /has a directory and no file usr\/lib/ },
    ],
    [
      'copies too much',
      tarDiff(2, [encodeOpen('opt/same'), encodeCopy(10_001)]),
      { code: 'CORRUPT', message: /needs 10001 bytes at 0 of opt\/same/ },
    ],
    ['is no tar-diff', Buffer.from('hello'), { code: 'CORRUPT', message: /begins with/ }],
  ];
  for (const [what, bytes, expected] of lies) {
    test(`whose tar-diff ${what} leaves nothing behind`, async () => {
      const forged = forge({ tarDiff: bytes });
      const source = await sourceOf(old.image);
      const out = join(scratchDirectory(), 'out');
      const writer = await createImage(`oci:${out}`);
      const image = await openDelta(forged);
      const delta: Delta = await readDelta(image);
      const applying = applyDelta(image, delta, source, writer, { ...context, spool });
      await assert.rejects(applying, expected);
      await writer.discard();
      assert.equal(existsSync(out), false);
    });
  }

  test('leaves no temporary files', () => {
    assert.deepEqual(readdirSync(spool), []);
  });
});

test('a delta is applied with credentials from standard input', () => {
  const command = ['delta', 'apply', '--creds=-', 'oci:/no/such', 'oci:out', '--source=oci:old'];
  const { status, stderr } = tryOstrata(command, { input: 'user:password\n' });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /oci:\/no\/such: the folder \/no\/such does not exist/);
});
