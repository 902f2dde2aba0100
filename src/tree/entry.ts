/** One entry of a file system tree: a regular file, a symlink or a directory. */
import type { Xattrs } from '../bytes/xattrs.js';

/**
 * An absolute, canonical path: no `.`, `..`, empty component or trailing slash. It is valid UTF-8,
 * as ostree requires. `/` is the root.
 */
export type TreePath = `/${string}`;

interface EntryBase {
  readonly path: TreePath;
  /** `st_mode` with its type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly xattrs: Xattrs;
}

export interface RegularFile extends EntryBase {
  readonly type: 'file';
  /** Content length in bytes. */
  readonly size: number;
  /**
   * Checksum of the ostree content object (64 hex digits), which covers content, owner, mode and
   * xattrs: two paths with one checksum are one object.
   */
  readonly checksum: string;
}

export interface Symlink extends EntryBase {
  readonly type: 'symlink';
  readonly size: 0;
  readonly target: string;
  /** As {@link RegularFile.checksum}. */
  readonly checksum: string;
}

export interface Directory extends EntryBase {
  readonly type: 'directory';
}

export type FileEntry = RegularFile | Symlink | Directory;

/** An entry that is a content object, and so belongs into one of the layers. */
export type ContentEntry = RegularFile | Symlink;
