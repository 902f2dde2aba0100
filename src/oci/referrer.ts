/** How a list of artifacts describes one that refers to an image, as its entry in an index. */
import { sha256Digest } from './json.js';
import { OCI_MANIFEST } from './media-types.js';
import type { Descriptor, Manifest } from './types.js';

/**
 * Returns the entry for an artifact, with its type and its annotations:
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers
 */
export function referrerDescriptor(artifact: Manifest, bytes: Uint8Array): Descriptor {
  const { mediaType = OCI_MANIFEST, config, annotations } = artifact;
  return {
    mediaType,
    digest: sha256Digest(bytes),
    size: bytes.length,
    artifactType: artifact.artifactType ?? config.mediaType,
    annotations,
  };
}
