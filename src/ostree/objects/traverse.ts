/** Finds all objects that a commit consists of. */
import { OstrataError } from '../../errors.js';
import type { Commit } from './commit.js';
import type { Dirtree } from './dirtree.js';
import { encodeObjectName } from './object-name.js';

export interface CommitObjects {
  /** Names of the dirtree and dirmeta objects. */
  readonly metadata: ReadonlySet<string>;
  /** Checksums of the content objects. */
  readonly files: ReadonlySet<string>;
}

/**
 * Limit for the metadata objects of a commit, so that none can keep a client busy without end:
 * several times as many as the largest desktop systems have.
 */
const MAX_METADATA_OBJECTS = 1_000_000;

/**
 * Returns the objects of `commit`. Throws `LIMIT` if there are too many.
 * @param load called once for every dirtree; throws if it is missing
 */
export function commitObjects(commit: Commit, load: (dirtree: string) => Dirtree): CommitObjects {
  const metadata = new Set([encodeObjectName(commit.dirmeta, 'dirmeta')]);
  const files = new Set<string>();
  const pending = [commit.dirtree];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const name = encodeObjectName(next, 'dirtree');
    if (metadata.has(name)) {
      continue;
    }
    if (metadata.size >= MAX_METADATA_OBJECTS) {
      throw new OstrataError(
        'LIMIT',
        `a commit of more than ${MAX_METADATA_OBJECTS} metadata objects`,
      );
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
