// Artifacts in an OCI image layout that have no name and are found by what they refer to.
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../../src/bytes/json.js';
import { blobPath } from '../../../src/oci/image-layout.js';
import { canonicalJson, sha256Digest } from '../../../src/oci/json.js';
import { OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { createArtifact, createImage, openImage } from '../../../src/transports/image-reference.js';
import { describeImage, noise, writeTestImage } from '../../support/random-images.js';
import { run } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

const TYPE = 'application/vnd.example+delta';
const EMPTY = Buffer.from('{}');
const layers = [noise('a', 1000)];
const { manifest: target } = describeImage(layers);
const emptyConfig = {
  mediaType: 'application/vnd.oci.empty.v1+json',
  digest: sha256Digest(EMPTY),
  size: EMPTY.length,
};

/**
 * Writes an artifact that refers to the image of `layers`, and returns its digest.
 * @param prepare returns where it goes, by default beside that image without a name
 */
async function attach(imgref: string, name: string, prepare = createArtifact): Promise<string> {
  const manifest = canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: TYPE,
    config: emptyConfig,
    layers: [],
    subject: { mediaType: OCI_MANIFEST, digest: sha256Digest(target), size: target.length },
    annotations: { name },
  });
  const writer = await prepare(imgref);
  await writer.commit({ config: EMPTY, manifest, platform: undefined });
  return sha256Digest(manifest);
}

const layoutIndex = v.object({
  manifests: v.array(
    v.object({ digest: v.string(), annotations: v.optional(v.record(v.string(), v.string())) }),
  ),
});

async function layoutWithArtifacts() {
  const directory = join(scratchDirectory(), 'layout');
  const { imgref } = await writeTestImage(directory, 'x', layers);
  const first = await attach(imgref, 'first');
  const second = await attach(imgref, 'second');
  await attach(imgref, 'first');
  return { imgref, first, second };
}

suite('artifacts of a layout that refer to an image', () => {
  test('are listed once each, with type and annotations', async () => {
    const { imgref, first, second } = await layoutWithArtifacts();
    const image = await openImage(imgref);
    const found = (await image.referrers?.(TYPE)) ?? assert.fail();
    assert.deepEqual(
      found.map(({ digest, annotations }) => [digest, annotations?.name]),
      [
        [second, 'second'],
        [first, 'first'],
      ],
    );
    assert.deepEqual(await image.referrers?.('application/vnd.example+other'), []);
  });

  test('are read by their descriptors', async () => {
    const { imgref } = await layoutWithArtifacts();
    const image = await openImage(imgref);
    const [manifest] = (await image.referrers?.(TYPE)) ?? [];
    const artifact = await openImage(imgref, { manifest, artifactType: TYPE });
    assert.equal(artifact.manifestDigest, manifest?.digest);
  });

  test('have no name, and stay when an image without a tag is written', async () => {
    const { imgref, first, second } = await layoutWithArtifacts();
    const directory = imgref.split(':')[1] ?? '';
    for (const seed of ['b', 'c']) {
      const { config, manifest } = describeImage([noise(seed, 10)]);
      const writer = await createImage(`oci:${directory}`);
      await writer.commit({ config, manifest, platform: undefined });
    }
    const text = readFileSync(join(directory, 'index.json'), 'utf8');
    const { manifests } = parseJson(text, layoutIndex);
    const tagOf = (digest: string) =>
      manifests.find((each) => each.digest === digest)?.annotations?.[
        'org.opencontainers.image.ref.name'
      ];
    assert.equal(manifests.length, 4);
    assert.deepEqual([sha256Digest(target), first, second].map(tagOf), ['x', undefined, undefined]);
  });

  test('keep a tag that they were given, and are listed once all the same', async () => {
    const { imgref } = await layoutWithArtifacts();
    const tagged = `${imgref}-first`;
    const digest = await attach(tagged, 'first', createImage);
    await attach(imgref, 'first');
    const artifact = await openImage(tagged, { artifactType: TYPE });
    assert.equal(artifact.manifestDigest, digest);
    const image = await openImage(imgref);
    assert.equal((await image.referrers?.(TYPE))?.length, 2);
  });

  test('are listed although the layout lacks the manifest of another image', async () => {
    const { imgref } = await layoutWithArtifacts();
    const directory = imgref.split(':')[1] ?? '';
    const { imgref: other } = await writeTestImage(directory, 'other', [noise('b', 10)]);
    const { manifestDigest } = await openImage(other);
    rmSync(join(directory, blobPath(manifestDigest)));
    const image = await openImage(imgref);
    assert.equal((await image.referrers?.(TYPE))?.length, 2);
  });

  test('leave the image as skopeo finds it', needs('skopeo'), async () => {
    const { imgref } = await layoutWithArtifacts();
    const inspected = run('skopeo', ['inspect', '--raw', imgref]);
    assert.equal(sha256Digest(Buffer.from(inspected)), sha256Digest(target));
  });
});
