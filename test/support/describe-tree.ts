/** What a tree holds, in a form that two trees can be compared by, however they were read. */
import { encodeXattrs } from '../../src/ostree/objects/xattr-list.js';
import type { FileEntry, Tree } from '../../src/tree/tree.js';

/** Describes the entry at each path. Hard links name the first path of their file. */
export function describeTree(
  { files }: Pick<Tree, 'files'>,
  hasTimes: boolean,
): Readonly<Record<string, unknown>> {
  const firstPaths = new Map<string, string>();
  const describe = (entry: FileEntry) => {
    const { path, type, mode, uid, gid, mtime, xattrs } = entry;
    const isFile = entry.type !== 'directory';
    const inode = (isFile ? entry.inode : undefined) ?? path;
    const first = firstPaths.get(inode) ?? path;
    firstPaths.set(inode, first);
    return {
      type,
      mode: mode.toString(8),
      owner: `${uid}:${gid}`,
      first,
      checksum: isFile ? entry.checksum : undefined,
      xattrs: Buffer.from(encodeXattrs(xattrs)).toString('latin1'),
      mtime: hasTimes ? mtime : undefined,
    };
  };
  return Object.fromEntries(Array.from(files, (entry) => [entry.path, describe(entry)]));
}
