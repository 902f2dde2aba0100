/** All objects that a commit is made of. */
import { OstrataError } from '../../errors.js';
import type { Commit } from './commit.js';
import type { Dirtree } from './dirtree.js';
import { encodeObjectName } from './object-name.js';

export interface CommitObjects {
  /** `CHECKSUM.dirtree` and `CHECKSUM.dirmeta`. */
  readonly metadata: ReadonlySet<string>;
  /** Checksums of content objects. */
  readonly files: ReadonlySet<string>;
}

/** Bounds what a commit can make a client walk: several times the largest desktop systems. */
const MAX_DIRTREES = 1_000_000;

/** Every dirtree once. `load` throws where one is missing. */
export function commitObjects(commit: Commit, load: (dirtree: string) => Dirtree): CommitObjects {
  const metadata = new Set([encodeObjectName(commit.dirmeta, 'dirmeta')]);
  const files = new Set<string>();
  const pending = [commit.dirtree];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const name = encodeObjectName(next, 'dirtree');
    if (metadata.has(name)) {
      continue;
    }
    if (metadata.size >= MAX_DIRTREES) {
      throw new OstrataError('LIMIT', `a commit of more than ${MAX_DIRTREES} metadata objects`);
    }
    metadata.add(name);
    const dirtree = load(next);
    for (const { checksum } of dirtree.files) {
      files.add(checksum);
    }
    for (const dir of dirtree.dirs) {
      metadata.add(encodeObjectName(dir.dirmeta, 'dirmeta'));
      pending.push(dir.dirtree);
    }
  }
  return { metadata, files };
}
