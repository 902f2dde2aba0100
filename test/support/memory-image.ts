/** Makes images in memory, whole or with any fault, for tests of code that reads images. */
import { OstrataError } from '../../src/errors.js';
import { OSTREE_COMMIT, OSTREE_FINAL_DIFFID } from '../../src/oci/annotations.js';
import type { ImageReader } from '../../src/oci/image.js';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../../src/oci/media-types.js';
import { type Descriptor, parseManifest } from '../../src/oci/types.js';

export interface MemoryImage {
  /** Uncompressed layers. */
  readonly layers: readonly Uint8Array[];
  readonly labels?: Readonly<Record<string, string | undefined>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly layerAnnotations?: readonly (Readonly<Record<string, string>> | undefined)[];
  /** Members that replace those of the config. */
  readonly config?: object;
  readonly mediaType?: string;
}

/**
 * Makes an image. Its label `ostree.final-diffid` names the last layer, unless `labels` has
 * another.
 */
export function memoryImage({
  layers,
  labels,
  annotations,
  layerAnnotations,
  config: more,
  mediaType = OCI_LAYER,
}: MemoryImage): ImageReader {
  const diffIds = layers.map(sha256Digest);
  const config = canonicalJson({
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { [OSTREE_FINAL_DIFFID]: diffIds.at(-1), ...labels } },
    rootfs: { type: 'layers', diff_ids: diffIds },
    ...more,
  });
  const descriptors = layers.map(
    (bytes, i): Descriptor => ({
      mediaType,
      digest: sha256Digest(bytes),
      size: bytes.length,
      annotations: layerAnnotations?.[i],
    }),
  );
  const manifestBytes = canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: sha256Digest(config), size: config.length },
    layers: descriptors,
    annotations,
  });
  const blobs = new Map(layers.map((bytes, i) => [diffIds[i], bytes]));
  return {
    name: 'memory:image',
    manifestDigest: sha256Digest(manifestBytes),
    manifestBytes,
    manifest: parseManifest(manifestBytes),
    config: async () => config,
    blob: ({ digest }) => {
      const bytes = blobs.get(digest);
      if (bytes === undefined) {
        throw new OstrataError('NOT_FOUND', `no blob ${digest}`);
      }
      return [bytes];
    },
    blobFile: () => undefined,
  };
}

/** The label that names the commit of an image. */
export const commitLabel = (checksum: string) => ({ [OSTREE_COMMIT]: checksum });
