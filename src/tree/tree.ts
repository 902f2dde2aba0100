/** A file system tree, wherever it lies: the interface that all kinds of trees implement. */
import type { ByteStream } from '../bytes/stream.js';
import type { TreePath } from './entry.js';
import type { FileMap } from './file-map.js';

export type { ByteStream } from '../bytes/stream.js';
export type { Xattrs } from '../bytes/xattrs.js';
export type * from './entry.js';

/** A file system tree, read-only. Implementations hold metadata in memory and read content on demand. */
export interface Tree {
  /** What the tree is called in messages, e.g. `commit 1234abcd`. */
  readonly name: string;
  readonly files: FileMap;
  /** Streams a regular file; `NOT_FOUND` if the path is none. Iterating throws `CORRUPT` where bytes do not match their checksum. */
  read(path: TreePath): ByteStream;
  /** All bytes of a regular file, symlinks followed; `NOT_FOUND` if there is none, `LIMIT` above MAX_WHOLE_FILE. */
  bytes(path: TreePath): Promise<Uint8Array>;
}
