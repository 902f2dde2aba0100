/** Decides which layers of a shared cache are too old. */
import type { TaggedArtifact } from '../transports/transport.js';
import { createdOf } from './shared-entry.js';

/** Clocks of builders may differ by this, in milliseconds. */
const CLOCK_SKEW_MS = 24 * 3600 * 1000;

export interface CachedLayer {
  readonly tag: string;
  /** Digest of the manifest. */
  readonly digest: string;
  /** Milliseconds since 1970; undefined if the entry states no time. */
  readonly created: number | undefined;
  /** Bytes of the blob. */
  readonly size: number;
  readonly isKept: boolean;
}

/**
 * Returns all layers, the oldest first. One that states no time, or a time in the future, is not
 * kept: it would stay for ever.
 * @param now milliseconds since 1970
 */
export function planCachePruning(
  artifacts: readonly TaggedArtifact[],
  olderThanMs: number,
  now: number,
): readonly CachedLayer[] {
  const layers = artifacts.map(({ tag, digest, manifest }) => {
    const created = createdOf(manifest);
    const age = created === undefined ? Infinity : now - created;
    const isKept = age <= olderThanMs && age >= -CLOCK_SKEW_MS;
    const size = manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
    return { tag, digest, created, size, isKept };
  });
  return layers.sort((a, b) => (a.created ?? 0) - (b.created ?? 0) || (a.tag < b.tag ? -1 : 1));
}
