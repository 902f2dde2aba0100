/**
 * Makes the entries of trees that record everything. Each property is written out: those that
 * follow a spread take ten times as long, and V8 then needs several times the memory for each entry
 * of a large tree.
 */
import type { Xattrs } from '../bytes/xattrs.js';
import type { Directory, RegularFile, Symlink, TreePath } from './entry.js';

interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number | undefined;
}

export function makeDirectory(
  path: TreePath,
  { mode, uid, gid, mtime }: Attributes,
  xattrs: Xattrs,
): Directory {
  return {
    type: 'directory',
    path,
    mode,
    uid,
    gid,
    xattrs,
    mtime,
  };
}

/** @param inode identifies the file if it has several names */
export function makeFile(
  path: TreePath,
  { mode, uid, gid, mtime }: Attributes,
  xattrs: Xattrs,
  { size, checksum, contentDigest }: Pick<RegularFile, 'size' | 'checksum' | 'contentDigest'>,
  inode: string | undefined,
): RegularFile {
  return {
    type: 'file',
    path,
    mode,
    uid,
    gid,
    xattrs,
    mtime,
    size,
    checksum,
    contentDigest,
    inode,
  };
}

/** @param inode identifies the symlink if it has several names */
export function makeSymlink(
  path: TreePath,
  { mode, uid, gid, mtime }: Attributes,
  xattrs: Xattrs,
  { target, checksum }: Pick<Symlink, 'target' | 'checksum'>,
  inode: string | undefined,
): Symlink {
  return {
    type: 'symlink',
    path,
    mode,
    uid,
    gid,
    xattrs,
    mtime,
    size: 0,
    target,
    checksum,
    inode,
  };
}
