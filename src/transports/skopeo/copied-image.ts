/**
 * Reads the folder that `skopeo copy` to `dir:` makes: `manifest.json`, and each blob under the hex
 * digits of its digest. Unlike a copy to an OCI image layout, it does not compress layers that are
 * stored uncompressed.
 */
import { join } from 'node:path';
import { OstrataError } from '../../errors.js';
import { canonicalJson, sha256Digest } from '../../oci/json.js';
import { uncompressedMediaType } from '../../oci/media-types.js';
import {
  type Descriptor,
  MAX_JSON_SIZE,
  type Manifest,
  parseConfig,
  parseManifest,
} from '../../oci/types.js';
import { readRange } from '../../system/file-chunks.js';
import { streamFile } from '../oci/reader.js';
import type { ImageReader } from '../transport.js';

/**
 * Opens a copied image. Throws `CORRUPT` if its manifest or config is damaged.
 * @param name the image reference, for messages
 */
export function openCopiedImage(directory: string, name: string): ImageReader {
  const pathOf = ({ digest }: Descriptor) => join(directory, digest.replace('sha256:', ''));
  const readDocument = (path: string) => readRange(path, 0, MAX_JSON_SIZE, MAX_JSON_SIZE);
  const copied = parseManifest(readDocument(join(directory, 'manifest.json')));
  const config = readDocument(pathOf(copied.config));
  if (sha256Digest(config) !== copied.config.digest) {
    throw new OstrataError('CORRUPT', `config has the digest ${sha256Digest(config)}`);
  }

  const manifest = withTrueMediaTypes(copied, parseConfig(config).rootfs.diff_ids);
  const manifestBytes = canonicalJson(manifest);
  return {
    name,
    manifestDigest: sha256Digest(manifestBytes),
    manifestBytes,
    manifest,
    config: async () => config,
    blob: (descriptor) => streamFile(pathOf(descriptor)),
    blobFile: pathOf,
  };
}

/**
 * skopeo calls layers compressed that it has read uncompressed from a storage (skopeo 1.9) or from
 * an archive of Docker. They are those whose digest is their diffId.
 */
function withTrueMediaTypes(manifest: Manifest, diffIds: readonly string[]): Manifest {
  const layers = manifest.layers.map((layer, i) => {
    const isUncompressed = layer.digest === diffIds[i];
    const { mediaType } = layer;
    return isUncompressed ? { ...layer, mediaType: uncompressedMediaType(mediaType) } : layer;
  });
  return { ...manifest, layers };
}
