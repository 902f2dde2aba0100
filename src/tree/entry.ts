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
  /** Modification time in seconds since 1970; undefined in a commit, which records none. */
  readonly mtime?: number | undefined;
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
  /** SHA-256 of the content alone (64 hex digits); undefined if it is not known. */
  readonly contentDigest?: string | undefined;
  /** As {@link Symlink.inode}. */
  readonly inode?: string | undefined;
}

export interface Symlink extends EntryBase {
  readonly type: 'symlink';
  readonly size: 0;
  readonly target: string;
  /** As {@link RegularFile.checksum}. */
  readonly checksum: string;
  /**
   * The same text for all names of one file (hard links); undefined if the file has one name, and
   * in a commit, which does not record hard links.
   */
  readonly inode?: string | undefined;
}

export interface Directory extends EntryBase {
  readonly type: 'directory';
}

export type FileEntry = RegularFile | Symlink | Directory;

/** An entry that is a content object, and so belongs into one of the layers. */
export type ContentEntry = RegularFile | Symlink;
