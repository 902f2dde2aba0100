import { sha256Digest } from './json.js';

/** What a stack of layers is known by: https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md#layer-chainid */
export function chainId(diffIds: readonly string[]): string {
  return diffIds.reduce((chain, diffId) => sha256Digest(Buffer.from(`${chain} ${diffId}`)));
}
