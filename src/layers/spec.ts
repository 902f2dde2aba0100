/**
 * What a layer will hold. A spec is known before any content is read; it is enough to write the
 * layer (write.ts), and to compute the key by which the layer is recognized in a later build.
 */
import { createHash } from 'node:crypto';
import { compareUtf8 } from '../bytes/text.js';
import type { Xattrs } from '../bytes/xattrs.js';
import type { OwnedComponent } from '../components/assign.js';
import { must, OstrataError } from '../errors.js';
import type { FileInfo } from '../ostree/objects/file.js';
import { NO_XATTRS } from '../ostree/objects/xattr-list.js';
import { TAR_WRITER_VERSION } from '../tar/header.js';
import type { CommitTree, LoadBytes } from '../tree/commit.js';
import type { CommitDirectory } from '../tree/commit-walk.js';
import type { FileMap } from '../tree/file-map.js';
import { parentPath } from '../tree/path.js';
import type { Directory, FileEntry, TreePath } from '../tree/tree.js';
import { isSkeleton, listedXattrs } from './repository.js';

/**
 * Version of the layer format. In version 2 a chunk layer has the directories above its paths, with
 * their real metadata; in version 1 it leaves them out, and whoever unpacks the layer creates them
 * with default metadata. Version 1 has the very bytes that bootc's ostree-ext writes, which lets it
 * export images that it has pulled; so it leaves out the xattrs of directories.
 */
export type FormatVersion = 1 | 2;

/** The first layer: the commit with all its metadata objects and directories. */
export interface CommitLayerSpec {
  readonly kind: 'commit';
  /** Checksum of the commit. */
  readonly commit: string;
  readonly commitBytes: Uint8Array;
  /** The detached metadata of the commit, which has its signatures; undefined if it has none. */
  readonly detachedMetadata: Uint8Array | undefined;
  /** Returns the bytes of an object of a directory. */
  readonly loadBytes: LoadBytes;
  readonly directories: readonly CommitDirectory[];
  readonly formatVersion: FormatVersion;
  /** Whether the layer adds `/var/tmp` because the commit has none. */
  readonly addVarTmp: boolean;
}

/** A layer of content objects. */
export interface ChunkLayerSpec {
  readonly kind: 'chunk';
  /** In order of the checksums. */
  readonly objects: readonly LayerObject[];
  readonly formatVersion: FormatVersion;
  /**
   * All directories above paths of the layer, by path, except those of the repository; empty in
   * format version 1.
   */
  readonly directories: ReadonlyMap<string, LayerDirectory>;
  /** Total size of the regular files, in bytes. */
  readonly contentSize: number;
}

/**
 * A content object with all its paths, each of which becomes a hard link. The paths are in the
 * order of a walk of the commit, in which the files of a directory come before its directories.
 */
export interface LayerObject {
  readonly checksum: string;
  readonly paths: readonly TreePath[];
  readonly info: FileInfo;
}

export type OstreeLayerSpec = CommitLayerSpec | ChunkLayerSpec;
export type LayerDirectory = Pick<Directory, 'mode' | 'uid' | 'gid' | 'xattrs'>;

/**
 * Returns the spec of the commit layer of a tree. Throws `UNSUPPORTED` if two paths of the commit
 * would be the same path of the image.
 */
export function commitLayerSpec(tree: CommitTree, formatVersion: FormatVersion): CommitLayerSpec {
  const { name, commit, detachedMetadata, directories, files, loadBytes } = tree;
  const etc = files.get('/etc');
  const hasUsrEtc = files.get('/usr/etc') !== undefined;
  if (etc !== undefined && hasUsrEtc && !isEmptyDirectory(etc, files)) {
    throw new OstrataError(
      'UNSUPPORTED',
      `${name} has both /etc and /usr/etc, which are the same directory in an image`,
    );
  }

  // Containers run without systemd-tmpfiles, and many programs fail without /var/tmp.
  const canHaveVarTmp = (files.get('/var')?.type ?? 'directory') === 'directory';
  const addVarTmp = canHaveVarTmp && files.get('/var/tmp') === undefined;
  return {
    kind: 'commit',
    commit: commit.checksum,
    commitBytes: commit.bytes,
    detachedMetadata,
    loadBytes,
    directories,
    formatVersion,
    addVarTmp,
  };
}

function isEmptyDirectory({ type, path }: FileEntry, files: FileMap): boolean {
  if (type !== 'directory') {
    return false;
  }
  for (const entry of files) {
    if (entry.path.startsWith(`${path}/`)) {
      return false;
    }
  }
  return true;
}

/** Returns the spec of the layer that holds the content objects of `components`. */
export function chunkLayerSpec(
  tree: CommitTree,
  components: readonly OwnedComponent[],
  formatVersion: FormatVersion,
): ChunkLayerSpec {
  const objects = components
    .flatMap((component) => [...component.objects])
    .map(([checksum, entries]) => ({
      checksum,
      paths: inWalkOrder(entries.map(({ path }) => path)),
      info: must(tree.objects.get(checksum), 'metadata of a content object'),
    }))
    .sort((a, b) => (a.checksum < b.checksum ? -1 : 1));

  const directories = new Map<string, LayerDirectory>();
  if (formatVersion === 2) {
    for (const { paths } of objects) {
      for (const path of paths) {
        addParents(directories, tree, path);
      }
    }
  }

  const contentSize = components.reduce((sum, { size }) => sum + size, 0);
  return { kind: 'chunk', objects, formatVersion, directories, contentSize };
}

/** Sorts the paths of files by directories: see {@link LayerObject}. */
function inWalkOrder(paths: readonly TreePath[]): readonly TreePath[] {
  if (paths.length < 2) {
    return paths;
  }
  // A NUL keeps `/a/x` before `/a-b/x`, and `\x01` keeps a file before the directories beside it.
  const keyed = paths.map((path) => {
    const parent = parentPath(path);
    const name = path.slice(path.lastIndexOf('/') + 1);
    const above = parent === '/' ? '' : parent.replaceAll('/', '\0\x02');
    return { path, key: `${above}\0\x01${name}` };
  });
  return keyed.sort((a, b) => compareUtf8(a.key, b.key)).map(({ path }) => path);
}

/** Adds the directories above `path` to `directories`, up to the first that is there already. */
function addParents(
  directories: Map<string, LayerDirectory>,
  tree: CommitTree,
  path: TreePath,
): void {
  let parent = parentPath(path);
  while (parent !== '/' && !directories.has(parent)) {
    if (!isSkeleton(parent)) {
      const { mode, uid, gid, xattrs } = must(tree.files.get(parent), parent);
      directories.set(parent, { mode, uid, gid, xattrs });
    }
    parent = parentPath(parent);
  }
}

/**
 * Returns the xattrs of the paths of an empty file, which are copies of it: some file systems limit
 * hard links, and an empty file has nothing to share. ostree-ext writes copies without xattrs.
 */
export function copiedXattrs(info: FileInfo, formatVersion: FormatVersion): Xattrs {
  const isCopied = info.type === 'file' && info.size === 0;
  return isCopied && formatVersion === 2 ? listedXattrs(info.xattrs) : NO_XATTRS;
}

/**
 * Returns the key of a chunk layer, 43 base64url characters. It covers what determines the bytes of
 * the layer's tar: two layers have the same key exactly if they have the same diffId. Objects are
 * covered by their checksums, which stand for content, owner, mode and xattrs.
 */
export function layerKey({ objects, formatVersion, directories }: ChunkLayerSpec): string {
  const hash = createHash('sha256').update(`ostrata ${TAR_WRITER_VERSION}\n`);
  for (const { checksum, paths, info } of objects) {
    let text = checksum;
    text += copiedXattrs(info, formatVersion).size > 0 ? 'x' : '';
    for (const path of paths) {
      text += `${path}\0`;
    }
    hash.update(text);
  }

  const sorted = [...directories].sort(([a], [b]) => compareUtf8(a, b));
  for (const [path, { mode, uid, gid, xattrs }] of sorted) {
    hash.update(`${path}\0${mode} ${uid} ${gid}\n`);
    for (const [name, value] of listedXattrs(xattrs)) {
      hash.update(`${name}\0${value.length}\n`).update(value);
    }
  }
  return hash.digest('base64url');
}

/**
 * Returns the key of a commit layer, like {@link layerKey}. The checksum of the commit covers the
 * whole layer except the detached metadata.
 */
export function commitLayerKey({
  commit,
  detachedMetadata,
  formatVersion,
}: CommitLayerSpec): string {
  return createHash('sha256')
    .update(`ostrata ${TAR_WRITER_VERSION} commit ${commit} ${formatVersion} `)
    .update(`${detachedMetadata?.length}\n`)
    .update(detachedMetadata ?? '')
    .digest('base64url');
}
