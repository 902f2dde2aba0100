/**
 * Manifests, configs and blobs that lie: the import of each is refused with the reason, and nothing
 * in the repository refers to what was imported until then.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { pullImage } from '../../src/client/pull.js';
import type { ImageReader } from '../../src/oci/image.js';
import { sha256Digest } from '../../src/oci/json.js';
import { parseConfig } from '../../src/oci/types.js';
import { openRepo } from '../../src/ostree/repo.js';
import { END_OF_ARCHIVE } from '../../src/tar/header.js';
import { openImage } from '../../src/transports/image-reference.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import {
  changeManifest,
  type ForgedEntry,
  type ForgedImage,
  forge,
  writeTar,
} from '../support/forge-image.js';
import {
  assertRefused,
  filesBelow,
  importInto,
  importOptions,
  newRepo,
} from '../support/import-image.js';

const spec = dir({
  bin: dir({ sh: '#!shell' }),
  usr: dir({ a: 'first', b: { content: 'second', mode: 0o755 }, link: { target: 'a' } }),
});
let image: ImageReader;
before(async () => {
  image = (await buildImage(spec)).image;
});

const unchanged = () => {};
const unknownDigest = `sha256:${'0'.repeat(64)}`;
const blobFile = ({ directory }: ForgedImage, digest: string) =>
  join(directory, 'blobs', digest.replace(':', '/'));

/** The image with another descriptor for the first chunk layer. */
async function withDescriptor(change: object): Promise<ForgedImage> {
  const forged = await forge(image, unchanged);
  changeManifest(forged, ({ layers }) => Object.assign(layers[1] as object, change));
  return forged;
}

suite('an import refuses an image whose', () => {
  test('layer occurs twice, in manifest and config', async () => {
    const forged = await forge(image, (layers) => {
      const [, chunk] = layers;
      assert.ok(chunk);
      layers.splice(2, 0, chunk);
    });
    await assertRefused(
      forged,
      'CORRUPT',
      /: layer sha256:\w{64} occurs twice among the layers of the commit$/,
    );
  });

  test('manifest has one layer in the place of another', async () => {
    const forged = await forge(image, unchanged);
    changeManifest(forged, ({ layers }) => layers.splice(1, 1, layers[2]));
    await assertRefused(
      forged,
      'CORRUPT',
      /: layer sha256:\w{64} occurs twice among the layers of the commit$/,
    );
  });

  test('layer is missing in manifest and config', async () => {
    const forged = await forge(image, (layers) => void layers.splice(1, 1));
    await assertRefused(
      forged,
      'CORRUPT',
      /: 1 objects of commit \w{64} are in no layer, the first is \w{64}\.filez$/,
    );
  });

  test('manifest has a hundred levels, before any layer is fetched', async () => {
    const forged = await forge(image, unchanged);
    changeManifest<Record<string, unknown> & { layers: { digest: string }[] }>(
      forged,
      (manifest) => {
        for (const { digest } of manifest.layers) {
          rmSync(blobFile(forged, digest));
        }
        for (let level = 0; level < 100; level++) {
          manifest.deep = [manifest.deep];
        }
      },
    );
    await assert.rejects(importInto(newRepo(), forged.imgref), {
      code: 'LIMIT',
      message: /: image manifest: JSON with more than 64 levels$/,
    });
  });

  test('layer is missing in the manifest alone', async () => {
    const forged = await forge(image, unchanged);
    changeManifest(forged, ({ layers }) => layers.splice(1, 1));
    await assertRefused(forged, 'CORRUPT', /: 2 layers in the manifest, 3 diff_ids in the config$/);
  });

  test('label ends the commit before its last layer', async () => {
    // Forged layers have other bytes than those of the image, but always the same ones.
    const same = await openImage((await forge(image, unchanged)).imgref);
    const { rootfs } = parseConfig(await same.config());
    const labels = { 'ostree.final-diffid': rootfs.diff_ids[1] ?? '' };
    const { imgref } = await forge(image, unchanged, labels);
    await assert.rejects(importInto(newRepo(), imgref), {
      code: 'UNSUPPORTED',
      message: /: the image has 1 layers that are not part of the commit/,
    });
    await assert.rejects(pullImage(importOptions(newRepo(), imgref)), {
      code: 'CORRUPT',
      message: /: 3 objects of commit \w{64} are in no layer, the first is \w{64}\.filez$/,
    });
  });

  test('label ends the commit at a layer that the image does not have', async () => {
    const forged = await forge(image, unchanged, { 'ostree.final-diffid': unknownDigest });
    await assertRefused(
      forged,
      'CORRUPT',
      /label ostree\.final-diffid is sha256:0{64}, which is no diff_id of the image$/,
    );
  });

  test('label names another commit', async () => {
    const forged = await forge(image, unchanged, { 'ostree.commit': 'a'.repeat(64) });
    await assertRefused(
      forged,
      'CORRUPT',
      /layer 0 .*: label ostree\.commit is a{64}, the commit is \w{64}$/,
    );
  });

  test('layer is larger than stated', async () => {
    const forged = await withDescriptor({ size: 100 });
    await assertRefused(
      forged,
      'LIMIT',
      /layer 1 .*: has more than the 100 bytes that are stated$/,
    );
  });

  test('layer is smaller than stated', async () => {
    const forged = await withDescriptor({ size: 1 << 20 });
    await assertRefused(forged, 'CORRUPT', /layer 1 .*: size: stated 1048576, computed \d+$/);
  });

  test('layer does not exist', async () => {
    const hex = randomBytes(32).toString('hex');
    const forged = await withDescriptor({ digest: `sha256:${hex}` });
    await assertRefused(
      forged,
      'NOT_FOUND',
      new RegExp(`layer 1 \\(sha256:${hex}\\): fetching: reading .*${hex}: ENOENT: no such file`),
    );
  });

  test('blob has other bytes than stated, which expand to the same tar', async () => {
    const forged = await forge(image, unchanged);
    const { layers } = (await openImage(forged.imgref)).manifest;
    const path = blobFile(forged, layers[1]?.digest ?? '');
    const blob = readFileSync(path);
    blob[4] = 1; // the time in the gzip header
    writeFileSync(path, blob);
    await assertRefused(
      forged,
      'CORRUPT',
      /layer 1 .*: digest: stated sha256:\w{64}, computed sha256:\w{64}$/,
    );
  });

  test('layer goes on with zeros after the end of its tar', async () => {
    // Concatenated gzip files expand to one stream.
    const bomb = Buffer.concat([gzipSync(END_OF_ARCHIVE), gzipSync(Buffer.alloc(2 << 20))]);
    const digest = sha256Digest(bomb);
    const forged = await withDescriptor({ digest, size: bomb.length });
    writeFileSync(blobFile(forged, digest), bomb);
    await assertRefused(forged, 'LIMIT', /layer 1 .*: more than 1048576 bytes after the end /);
  });
});

test('if a blob is missing, the layers that were imported stay for the next import', async () => {
  const forged = await forge(image, unchanged);
  const layers = (await openImage(forged.imgref)).manifest.layers.slice(1);
  // With one job, the largest chunk layer is fetched last.
  const last = layers.reduce((a, b) => (b.size > a.size ? b : a));
  const path = blobFile(forged, last.digest);
  const repo = newRepo();

  renameSync(path, `${path}.away`);
  await assert.rejects(importInto(repo, forged.imgref, 1), {
    code: 'NOT_FOUND',
    message: /: fetching: reading .*: ENOENT: no such file/,
  });
  assert.deepEqual(filesBelow(join(repo, 'tmp')), []);

  renameSync(`${path}.away`, path);
  // The commit layer is present too, although it has no ref yet.
  assert.equal((await importInto(repo, forged.imgref)).layersPresent, layers.length);
});

suite('a config that gives a derived layer the diff_id of another', () => {
  const entries = (text: string): ForgedEntry[] => [
    { name: 'usr/derived', type: 'file', content: Buffer.from(text) },
  ];
  const goodDiffId = sha256Digest(writeTar(entries('good')));
  const wrongDiffId = { code: 'CORRUPT', message: /: diff_id: stated sha256:\w{64}, computed / };
  let good: ForgedImage;
  let evil: ForgedImage;
  /** Has the evil layer, and says that it is the good one. */
  let lying: ForgedImage;

  before(async () => {
    good = await forge(image, unchanged, {}, [entries('good')]);
    evil = await forge(image, unchanged, {}, [entries('evil')]);
    lying = await forge(image, unchanged, {}, [entries('evil')], (diffIds) =>
      diffIds.splice(-1, 1, goodDiffId),
    );
  });
  const pull = (repo: string, { imgref }: ForgedImage) => pullImage(importOptions(repo, imgref));

  test('is refused when the layer is fetched', async () => {
    await assert.rejects(pull(newRepo(), lying), wrongDiffId);
  });

  test('is refused when the repository has the layer', async () => {
    const repo = newRepo();
    await pull(repo, evil);
    await assert.rejects(pull(repo, lying), wrongDiffId);
    // As after an interrupted pull: the layer is present, but no image tells its diff_id.
    rmSync(join(repo, 'refs/heads/ostree/container/image'), { recursive: true });
    await assert.rejects(pull(repo, lying), wrongDiffId);
  });

  test('does not make the repository take one layer for the other', async () => {
    const repo = newRepo();
    await pull(repo, evil);
    await assert.rejects(pull(repo, lying), wrongDiffId);
    const { mergeCommit } = await pull(repo, good);
    const tree = openCommitTree(openRepo(repo), mergeCommit);
    assert.equal(Buffer.from(await tree.bytes('/usr/derived')).toString(), 'good');
  });
});

test('a config that gives a layer of the commit a wrong diff_id is refused', async () => {
  const derived: ForgedEntry[] = [{ name: 'usr/derived', type: 'file' }];
  const repo = newRepo();
  await pullImage(importOptions(repo, (await forge(image, unchanged, {}, [derived])).imgref));
  for (const diffId of [sha256Digest(writeTar(derived)), unknownDigest]) {
    const lying = await forge(image, unchanged, {}, [], (diffIds) => diffIds.splice(1, 1, diffId));
    await assert.rejects(pullImage(importOptions(repo, lying.imgref)), {
      code: 'CORRUPT',
      message: /layer 1 .*: diff_id: stated sha256:\w{64}, computed /,
    });
  }
});
