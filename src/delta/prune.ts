/**
 * Decides which deltas of a repository are not needed any more.
 *
 * Deltas lead to images. Of the images that some lead to and that are still there, the newest keep
 * theirs; the others are deleted, as deltas to images that are gone are.
 */
import type { ArtifactRepository } from '../transports/transport.js';
import { DELTA_TYPE, listedSource } from './artifact.js';

/** An image that deltas lead to. */
export interface DeltaTarget {
  readonly digest: string;
  /** When it was made, as its config states it; undefined if that does not, or if it is gone. */
  readonly created: string | undefined;
  /** Digests of the deltas. */
  readonly deltas: readonly string[];
  readonly isKept: boolean;
}

export interface PruneOptions {
  /** How many images keep their deltas. */
  readonly keep: number;
  /** Returns when an image was made; undefined if it is not there. */
  readonly createdOf: (digest: string) => Promise<Created | undefined>;
}

export interface Created {
  readonly created: string | undefined;
}

/** Limit for the images that are found by the deltas that lead from them. */
const MAX_IMAGES = 100_000;

/** Returns the images that deltas lead to, the newest first. */
export async function planPruning(
  repository: Pick<ArtifactRepository, 'images' | 'referrers'>,
  { keep, createdOf }: PruneOptions,
): Promise<readonly DeltaTarget[]> {
  const found: (Omit<DeltaTarget, 'isKept'> & { readonly isThere: boolean })[] = [];
  // An image that has lost its tag is found as the source of a delta to a later one.
  const images = new Set(await repository.images());
  for (const digest of images) {
    const listed = await repository.referrers(digest, DELTA_TYPE);
    for (const descriptor of listed) {
      const source = listedSource(descriptor);
      if (source !== undefined && images.size < MAX_IMAGES) {
        images.add(source);
      }
    }
    if (listed.length > 0) {
      const image = await createdOf(digest);
      const deltas = listed.map((delta) => delta.digest);
      found.push({ digest, deltas, created: image?.created, isThere: image !== undefined });
    }
  }
  const newestFirst = found.toSorted(
    (a, b) =>
      Number(b.isThere) - Number(a.isThere) ||
      timeOf(b) - timeOf(a) ||
      (a.digest < b.digest ? -1 : 1),
  );
  return newestFirst.map(({ isThere, ...target }, i) => ({
    ...target,
    isKept: isThere && i < keep,
  }));
}

function timeOf({ created }: Pick<DeltaTarget, 'created'>): number {
  return Date.parse(created ?? '') || 0;
}
