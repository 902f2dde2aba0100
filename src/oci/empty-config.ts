/**
 * The config of an artifact that needs none, "Guidance for an Empty Descriptor" in
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md
 */
import { sha256Digest } from './json.js';
import type { Descriptor } from './types.js';

export const EMPTY_OBJECT = Buffer.from('{}');

export const EMPTY_CONFIG: Descriptor = {
  mediaType: 'application/vnd.oci.empty.v1+json',
  digest: sha256Digest(EMPTY_OBJECT),
  size: EMPTY_OBJECT.length,
};
