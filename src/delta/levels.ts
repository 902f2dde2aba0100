/** The levels of deltas: how much work the search for a small one may be. */
import type { SearchEffort } from '../tar-diff/seed-index.js';

/** How much work the search for small deltas may be. */
export interface DeltaLevel {
  /** How files are compared byte by byte. */
  readonly edits: SearchEffort;
  /** Level of zstd for files of which a frame is smaller than edits. */
  readonly frames: number;
  /** Level of zstd for everything else. */
  readonly stream: number;
}

export const DELTA_LEVELS: ReadonlyMap<string, DeltaLevel> = new Map([
  ['fast', { edits: { seedDistance: 4, candidates: 4 }, frames: 3, stream: 3 }],
  ['default', { edits: { seedDistance: 2, candidates: 4 }, frames: 12, stream: 12 }],
  ['best', { edits: { seedDistance: 1, candidates: 8 }, frames: 19, stream: 19 }],
]);
