/**
 * The ChainID, which identifies a stack of layers:
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md#layer-chainid
 */
import { sha256Digest } from './json.js';

/** Returns the ChainID of at least one layer; `diffIds` begins with the lowest one. */
export function chainId(diffIds: readonly string[]): string {
  return diffIds.reduce(withLayer);
}

/** Returns the ChainIDs of the lowest layer, of the two lowest, and so on. */
export function chainIdsOf(diffIds: readonly string[]): readonly string[] {
  let chain: string | undefined;
  return diffIds.map((diffId) => {
    chain = chain === undefined ? diffId : withLayer(chain, diffId);
    return chain;
  });
}

function withLayer(chain: string, diffId: string): string {
  return sha256Digest(Buffer.from(`${chain} ${diffId}`));
}
