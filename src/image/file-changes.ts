/** How the files and directories of one tree differ from those of another. */
import { contentDigest } from '../components/shipped.js';
import { encodeXattrs } from '../ostree/objects/xattr-list.js';
import { deployedPath } from '../tree/path.js';
import type { FileEntry, RegularFile, Tree, Xattrs } from '../tree/tree.js';

/** What differs between two entries of one path. */
export type Aspect =
  | 'type'
  | 'content'
  | 'target'
  | 'mode'
  | 'owner'
  | 'xattrs'
  | 'mtime'
  | 'links';

/** One path that differs. */
export interface FileChange {
  /** As in a running system: `/etc/x` for `/usr/etc/x` of a commit. */
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** Empty unless the path is in both trees. */
  readonly aspects: readonly Aspect[];
  readonly isDirectory: boolean;
  /** Bytes of content; undefined where the old tree does not have the path. */
  readonly oldSize?: number | undefined;
  /** Bytes of content; undefined where the new tree does not have the path. */
  readonly newSize?: number | undefined;
}

/**
 * Compares two trees, path by path, in the order of the new tree; what was removed comes last.
 * Times and hard links are compared where both trees record them. Content is read only where
 * neither digests nor sizes show whether it is the same.
 */
export async function compareTrees(old: Tree, next: Tree): Promise<readonly FileChange[]> {
  const before = byDeployedPath(old);
  const after = byDeployedPath(next);
  const oldLinks = firstLinks(old);
  const newLinks = firstLinks(next);

  const changes: FileChange[] = [];
  for (const [path, entry] of after) {
    const previous = before.get(path);
    if (previous === undefined) {
      changes.push(changeOf(path, 'added', undefined, entry));
      continue;
    }
    const found = attributesThatDiffer(previous, entry);
    const isLinked = [previous, entry].every(({ mtime }) => mtime !== undefined);
    if (isLinked && oldLinks.get(path) !== newLinks.get(path)) {
      found.push('links');
    }
    const content = await contentAspect(old, previous, next, entry, found.length > 0);
    const aspects = content === undefined ? found : [content, ...found];
    if (aspects.length > 0) {
      changes.push({ ...changeOf(path, 'changed', previous, entry), aspects });
    }
  }
  for (const [path, entry] of before) {
    if (!after.has(path)) {
      changes.push(changeOf(path, 'removed', entry, undefined));
    }
  }
  return changes;
}

function byDeployedPath({ files }: Tree): ReadonlyMap<string, FileEntry> {
  const entries = new Map<string, FileEntry>();
  for (const entry of files) {
    entries.set(deployedPath(entry.path), entry);
  }
  return entries;
}

/** Returns the first path of each file that has several, by all its paths. */
function firstLinks({ files }: Tree): ReadonlyMap<string, string> {
  const firstByInode = new Map<string, string>();
  const links = new Map<string, string>();
  for (const entry of files) {
    const inode = entry.type === 'directory' ? undefined : entry.inode;
    if (inode !== undefined) {
      const path = deployedPath(entry.path);
      const first = firstByInode.get(inode) ?? path;
      firstByInode.set(inode, first);
      links.set(path, first);
    }
  }
  return links;
}

function changeOf(
  path: string,
  change: FileChange['change'],
  old: FileEntry | undefined,
  next: FileEntry | undefined,
): FileChange {
  return {
    path,
    change,
    aspects: [],
    isDirectory: (next ?? old)?.type === 'directory',
    oldSize: sizeOf(old),
    newSize: sizeOf(next),
  };
}

function sizeOf(entry: FileEntry | undefined): number | undefined {
  return entry?.type === 'file' ? entry.size : entry && 0;
}

const PERMISSIONS = 0o7777;

function attributesThatDiffer(a: FileEntry, b: FileEntry): Aspect[] {
  const found: Aspect[] = [];
  if ((a.mode & PERMISSIONS) !== (b.mode & PERMISSIONS)) {
    found.push('mode');
  }
  if (a.uid !== b.uid || a.gid !== b.gid) {
    found.push('owner');
  }
  if (!haveSameXattrs(a.xattrs, b.xattrs)) {
    found.push('xattrs');
  }
  if (a.mtime !== undefined && b.mtime !== undefined && a.mtime !== b.mtime) {
    found.push('mtime');
  }
  return found;
}

/** Equal sets of one tree are mostly one object. */
function haveSameXattrs(a: Xattrs, b: Xattrs): boolean {
  return a === b || Buffer.compare(encodeXattrs(a), encodeXattrs(b)) === 0;
}

/** @param hasOther whether other attributes differ, which checksums of objects cover as well */
async function contentAspect(
  old: Tree,
  a: FileEntry,
  next: Tree,
  b: FileEntry,
  hasOther: boolean,
): Promise<Aspect | undefined> {
  if (a.type !== b.type) {
    return 'type';
  }
  if (a.type === 'symlink' && b.type === 'symlink') {
    return a.target === b.target ? undefined : 'target';
  }
  if (a.type !== 'file' || b.type !== 'file' || a.checksum === b.checksum) {
    return undefined;
  }
  if (a.size !== b.size) {
    return 'content';
  }
  const isSame = hasOther && (await haveSameContent(old, a, next, b));
  return isSame ? undefined : 'content';
}

async function haveSameContent(
  old: Tree,
  a: RegularFile,
  next: Tree,
  b: RegularFile,
): Promise<boolean> {
  return (await contentDigest(old, a, 'sha256')) === (await contentDigest(next, b, 'sha256'));
}
