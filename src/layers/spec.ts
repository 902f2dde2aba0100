/** What a layer will hold, known before a byte of content is read: enough to write it, and to know it again. */
import { createHash } from 'node:crypto';
import { compareUtf8 } from '../bytes/text.js';
import type { OwnedComponent } from '../components/assign.js';
import { OstrataError } from '../errors.js';
import type { FileInfo } from '../ostree/objects/file.js';
import { TAR_WRITER_VERSION } from '../tar/header.js';
import type { CommitTree } from '../tree/commit.js';
import type { CommitDirectory } from '../tree/commit-walk.js';
import type { FileMap } from '../tree/file-map.js';
import { parentPath } from '../tree/path.js';
import type { Directory, FileEntry, TreePath } from '../tree/tree.js';
import { isSkeleton, UNLISTED_XATTR } from './repository.js';

/** 2 writes the parent directories of every path with their real metadata; 1 leaves them to whoever unpacks. */
export type FormatVersion = 1 | 2;

/** The first layer: the commit with all its metadata objects and directories. */
export interface CommitLayerSpec {
  readonly kind: 'commit';
  readonly commit: string;
  readonly directories: readonly CommitDirectory[];
  /** The commit has no `/var/tmp`. */
  readonly addVarTmp: boolean;
}
/** A layer of content objects. */
export interface ChunkLayerSpec {
  readonly kind: 'chunk';
  /** In order of the checksums. */
  readonly objects: readonly LayerObject[];
  /** Every directory above a path of this layer but those of the repository, by path; none in format 1. */
  readonly directories: ReadonlyMap<string, LayerDirectory>;
  /** Bytes of regular-file content. */
  readonly contentSize: number;
}
export interface LayerObject {
  readonly checksum: string;
  readonly paths: readonly TreePath[];
  readonly info: FileInfo;
}
export type LayerSpec = CommitLayerSpec | ChunkLayerSpec;
export type LayerDirectory = Pick<Directory, 'mode' | 'uid' | 'gid' | 'xattrs'>;

/** Throws `UNSUPPORTED` where two paths of the commit would be one path of the image. */
export function commitLayerSpec({ name, commit, directories, files }: CommitTree): CommitLayerSpec {
  const etc = files.get('/etc');
  if (etc !== undefined && files.get('/usr/etc') !== undefined && !isEmptyDirectory(etc, files)) {
    throw new OstrataError(
      'UNSUPPORTED',
      `${name} has both /etc and /usr/etc, which are one folder in an image`,
    );
  }
  // Containers run without systemd-tmpfiles, and much fails without /var/tmp.
  const addVarTmp =
    files.get('/var/tmp') === undefined && (files.get('/var')?.type ?? 'directory') === 'directory';
  return { kind: 'commit', commit: commit.checksum, directories, addVarTmp };
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

/** The layer that holds `components`. */
export function chunkLayerSpec(
  tree: CommitTree,
  components: readonly OwnedComponent[],
  formatVersion: FormatVersion,
): ChunkLayerSpec {
  const objects = components
    .flatMap((component) => [...component.objects])
    .map(([checksum, entries]) => ({
      checksum,
      paths: entries.map(({ path }) => path),
      info: tree.objects.get(checksum) as FileInfo,
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
  return { kind: 'chunk', objects, directories, contentSize };
}

function addParents(
  directories: Map<string, LayerDirectory>,
  tree: CommitTree,
  path: TreePath,
): void {
  for (
    let parent = parentPath(path);
    parent !== '/' && !directories.has(parent);
    parent = parentPath(parent)
  ) {
    if (isSkeleton(parent)) {
      continue;
    }
    const { mode, uid, gid, xattrs } = tree.files.get(parent) as Directory;
    directories.set(parent, { mode, uid, gid, xattrs });
  }
}

/**
 * What determines the bytes of the layer's tar: two layers have one key exactly when they have one diffId. Objects are named by their
 * checksums, which cover content, owner, mode and xattrs. 43 base64url characters.
 */
export function layerKey(spec: ChunkLayerSpec): string {
  const hash = createHash('sha256').update(`ostrata ${TAR_WRITER_VERSION}\n`);
  for (const { checksum, paths } of spec.objects) {
    let text = checksum;
    for (const path of paths) {
      text += `${path}\0`;
    }
    hash.update(text);
  }
  for (const [path, { mode, uid, gid, xattrs }] of [...spec.directories].sort(([a], [b]) =>
    compareUtf8(a, b),
  )) {
    hash.update(`${path}\0${mode} ${uid} ${gid}\n`);
    for (const [name, value] of xattrs) {
      if (name !== UNLISTED_XATTR) {
        hash.update(`${name}\0${value.length}\n`).update(value);
      }
    }
  }
  return hash.digest('base64url');
}

/** {@link layerKey} of a commit layer: the checksum covers all but the detached metadata. */
export function commitLayerKey(
  { commit }: CommitLayerSpec,
  commitMeta: Uint8Array | undefined,
): string {
  return createHash('sha256')
    .update(`ostrata ${TAR_WRITER_VERSION} commit ${commit} ${commitMeta?.length}\n`)
    .update(commitMeta ?? '')
    .digest('base64url');
}
