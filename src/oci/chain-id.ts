/**
 * The ChainID, which identifies a stack of layers:
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md#layer-chainid
 */
import { sha256Digest } from './json.js';

/** Returns the ChainID of at least one layer; `diffIds` begins with the lowest one. */
export function chainId(diffIds: readonly string[]): string {
  return diffIds.reduce((chain, diffId) => sha256Digest(Buffer.from(`${chain} ${diffId}`)));
}
