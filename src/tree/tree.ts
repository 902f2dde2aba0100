/** A file system tree: the interface that all kinds of trees implement. */
import type { ByteStream } from '../bytes/stream.js';
import type { TreePath } from './entry.js';
import type { FileMap } from './file-map.js';

export type { ByteStream } from '../bytes/stream.js';
export type { Xattrs } from '../bytes/xattrs.js';
export type * from './entry.js';

/** A file system tree, read-only. Its metadata is held in memory, content is read on demand. */
export interface Tree {
  /** What the tree is called in messages, e.g. `commit 1234abcd`. */
  readonly name: string;
  readonly files: FileMap;
  /**
   * Streams the regular file at exactly this path. Throws `NOT_FOUND` if there is none. Iterating
   * throws `CORRUPT` if the bytes do not match their checksum.
   */
  read(path: TreePath): ByteStream;
  /**
   * Returns all bytes of a regular file; symlinks are followed. Throws `NOT_FOUND` if there is no
   * such file, and `LIMIT` if it is larger than 1 GiB.
   */
  bytes(path: TreePath): Promise<Uint8Array>;
}
