/** One entry of a file system tree: a regular file, a symlink or a directory. */
import type { Xattrs } from '../bytes/xattrs.js';

/** An absolute, canonical path: no `.`, `..`, empty component or trailing slash; valid UTF-8 (ostree requires it). `/` is the root. */
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
  /** The ostree content object (64 hex digits): two paths with one checksum are one object. */
  readonly checksum: string;
}
export interface Symlink extends EntryBase {
  readonly type: 'symlink';
  readonly size: 0;
  readonly target: string;
  readonly checksum: string;
}
export interface Directory extends EntryBase {
  readonly type: 'directory';
}
export type FileEntry = RegularFile | Symlink | Directory;
/** What has content of its own and is put into a layer. */
export type ContentEntry = RegularFile | Symlink;
