/**
 * Makes small images whose layers are noise, for tests of transports, which do not look into
 * layers. They are gzipped all the same, because skopeo looks at their first bytes.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST } from '../../src/oci/media-types.js';
import { createImage } from '../../src/transports/image-reference.js';
import type { Traffic } from '../../src/transports/transport.js';

/** Returns `size` bytes that do not compress and depend on `seed` only. */
export function noise(seed: string, size: number): Buffer {
  const blocks: Buffer[] = [];
  for (let made = 0; made < size; made += 32) {
    blocks.push(createHash('sha256').update(`${seed} ${made}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, size);
}

/** Compresses a layer to the bytes of its blob. */
export const gzipped = (layer: Uint8Array): Buffer => gzipSync(layer, { level: 1 });

export interface TestImage {
  readonly imgref: string;
  readonly manifest: Uint8Array;
  readonly manifestDigest: string;
  readonly config: Uint8Array;
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
  readonly blobs: readonly Buffer[];
  /** Total bytes of all layers and the config. */
  readonly size: number;
}

/** Makes config and manifest of an image of `layers`; `change` can make the manifest lie. */
export function describeImage(
  layers: readonly Uint8Array[],
  change: (manifest: TestManifest) => object = (m) => m,
) {
  const blobs = layers.map(gzipped);
  const descriptors = blobs.map((blob) => ({
    mediaType: OCI_LAYER_GZIP,
    digest: sha256Digest(blob),
    size: blob.length,
  }));
  const config = canonicalJson({
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map(sha256Digest) },
    history: layers.map((_, i) => ({ created_by: `layer ${i}` })),
  });
  const manifest = canonicalJson(
    change({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: sha256Digest(config), size: config.length },
      layers: descriptors,
    }),
  );
  return { config, manifest, manifestDigest: sha256Digest(manifest), layers: descriptors, blobs };
}

export interface TestManifest {
  readonly schemaVersion: number;
  readonly mediaType: string;
  readonly config: { readonly mediaType: string; readonly digest: string; readonly size: number };
  readonly layers: readonly {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
  }[];
}

/** Writes an image of `layers` into the OCI image layout `directory`. */
export async function writeTestImage(
  directory: string,
  tag: string,
  layers: readonly Uint8Array[],
): Promise<TestImage> {
  const described = describeImage(layers);
  const imgref = `oci:${directory}:${tag}`;
  const writer = await createImage(imgref);
  for (const [i, blob] of described.blobs.entries()) {
    const file = join(writer.stagingDirectory, `layer-${i}`);
    writeFileSync(file, blob);
    await writer.addBlob(file, described.layers[i] as (typeof described.layers)[number]);
  }
  await writer.commit({ ...described, platform: { architecture: 'amd64', os: 'linux' } });
  const size = described.layers.reduce((sum, layer) => sum + layer.size, described.config.length);
  return { imgref, ...described, size };
}

/** Counters of a transport, all zero. */
export const newTraffic = (): Traffic => ({ requests: 0, blobBytesReceived: 0, blobBytesSent: 0 });
