/**
 * What a layer of a plain image will hold: files at their paths, as any container image has them. A
 * spec is known before content is written; it is enough to write the layer (plain-write.ts), and to
 * compute the key by which the layer is recognized in a later build.
 */
import { createHash } from 'node:crypto';
import { matchesXattr, SELINUX_XATTR, type Xattrs } from '../bytes/xattrs.js';
import type { OwnedComponent } from '../components/assign.js';
import { must, OstrataError } from '../errors.js';
import { WHITEOUT_PREFIX } from '../oci/whiteout.js';
import type { FileInfo } from '../ostree/objects/file.js';
import { xattrsEncoder } from '../ostree/objects/xattr-list.js';
import { TAR_WRITER_VERSION } from '../tar/header.js';
import type { FileMap } from '../tree/file-map.js';
import { baseName, parentPath } from '../tree/path.js';
import type { ContentEntry, Directory, TreePath } from '../tree/tree.js';

/** A layer of a plain image. */
export interface PlainLayerSpec {
  readonly kind: 'plain';
  /** In the order of their first paths. */
  readonly objects: readonly PlainObject[];
  /** The directories above all paths of the layer, and those that it has without files. */
  readonly directories: ReadonlyMap<string, PlainDirectory>;
  /** What the layer removes of those below it, sorted. */
  readonly whiteouts: readonly TreePath[];
  /** Total size of the regular files, in bytes. */
  readonly contentSize: number;
}

/** A file or symlink; all paths after the first become hard links. */
export interface PlainObject {
  /** Covers content, owner, mode and extended attributes. */
  readonly checksum: string;
  readonly paths: readonly [TreePath, ...TreePath[]];
  readonly info: FileInfo;
  /** Seconds since 1970. */
  readonly mtime: number;
}

export type PlainDirectory = Pick<Directory, 'mode' | 'uid' | 'gid' | 'xattrs'> & {
  /** Seconds since 1970. */
  readonly mtime: number;
};

/**
 * Extended attributes that a plain layer leaves out; a name that ends in a dot is a prefix. Clients
 * set SELinux labels themselves, and `trusted.*` belongs to the storage of the host.
 */
export const LEFT_OUT_XATTRS: readonly string[] = [SELINUX_XATTR, 'trusted.'];

/** What a layer has besides the files of its components. */
export interface PlainLayerOptions {
  /** The directories that the layer has although it has no files in them. */
  readonly emptyDirectories: readonly TreePath[];
  /** What the layer removes of those below it, sorted. */
  readonly whiteouts: readonly TreePath[];
  /** Returns the time of a directory, in seconds since 1970. */
  readonly directoryMtime: (directory: Directory) => number;
}

/**
 * Returns the spec of the layer that holds `components`. Throws `UNSUPPORTED` for a file whose name
 * begins like that of a whiteout: clients would remove a file instead of writing one.
 */
export function plainLayerSpec(
  files: FileMap,
  components: readonly OwnedComponent[],
  { emptyDirectories, whiteouts, directoryMtime }: PlainLayerOptions,
): PlainLayerSpec {
  const encode = xattrsEncoder();
  const objects = components
    .flatMap(({ objects }) => [...objects.values()])
    .map((entries) => plainObject(entries, encode))
    .sort(byFirstPath);

  const directories = new Map<string, PlainDirectory>();
  /** Adds a directory and those above it, up to the first that is there already. */
  const addDirectories = (path: TreePath) => {
    for (let at = path; !directories.has(at); at = parentPath(at)) {
      checkName(at);
      const directory = directoryAt(files, at);
      directories.set(at, {
        mode: directory.mode,
        uid: directory.uid,
        gid: directory.gid,
        xattrs: directory.xattrs,
        mtime: directoryMtime(directory),
      });
    }
  };
  for (const { paths } of objects) {
    for (const path of paths) {
      checkName(path);
      addDirectories(parentPath(path));
    }
  }
  for (const path of emptyDirectories) {
    addDirectories(path);
  }
  for (const path of whiteouts) {
    addDirectories(parentPath(path));
  }

  const contentSize = components.reduce((sum, { size }) => sum + size, 0);
  return { kind: 'plain', objects, directories, whiteouts, contentSize };
}

function directoryAt(files: FileMap, path: TreePath): Directory {
  const entry = must(files.get(path), path);
  if (entry.type !== 'directory') {
    throw new Error(`bug: ${path} is not a directory`);
  }
  return entry;
}

function checkName(path: TreePath): void {
  if (baseName(path).startsWith(WHITEOUT_PREFIX)) {
    throw new OstrataError(
      'UNSUPPORTED',
      `${path}: in a container image, a name that begins with ${WHITEOUT_PREFIX} removes a file; ` +
        '--prune leaves it out',
    );
  }
}

function byFirstPath({ paths: [a] }: PlainObject, { paths: [b] }: PlainObject): number {
  return a < b ? -1 : 1;
}

function plainObject(
  entries: readonly ContentEntry[],
  encode: (xattrs: Xattrs) => Uint8Array,
): PlainObject {
  const [first, ...others] = entries;
  const entry = must(first, 'an entry of an object');
  const otherPaths = others.map(({ path }) => path);
  return {
    checksum: entry.checksum,
    paths: [entry.path, ...otherPaths],
    info: {
      type: entry.type,
      uid: entry.uid,
      gid: entry.gid,
      mode: entry.mode,
      size: entry.size,
      target: entry.type === 'symlink' ? entry.target : undefined,
      xattrs: entry.xattrs,
      xattrsBytes: encode(entry.xattrs),
    },
    mtime: entry.mtime ?? 0,
  };
}

/**
 * Returns the key of a plain layer, 43 base64url characters: layers with the same key have the same
 * diffId.
 */
export function plainLayerKey({ objects, directories, whiteouts }: PlainLayerSpec): string {
  const hash = createHash('sha256').update(`ostrata plain ${TAR_WRITER_VERSION}\n`);
  for (const { checksum, paths, mtime } of objects) {
    hash.update(`${checksum}${mtime}\0${paths.join('\0')}\n`);
  }

  for (const path of whiteouts) {
    hash.update(`whiteout\0${path}\n`);
  }
  const sorted = [...directories].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [path, { mode, uid, gid, mtime, xattrs }] of sorted) {
    hash.update(`${path}\0${mode} ${uid} ${gid} ${mtime}\n`);
    for (const [name, value] of listedXattrs(xattrs)) {
      hash.update(`${name}\0${value.length}\n`).update(value);
    }
  }
  return hash.digest('base64url');
}

/** Returns the xattrs that a plain layer has: all but {@link LEFT_OUT_XATTRS}. */
export function listedXattrs(xattrs: Xattrs): Xattrs {
  const listed = [...xattrs].filter(([name]) => !matchesXattr(name, LEFT_OUT_XATTRS));
  return listed.length === xattrs.size ? xattrs : new Map(listed);
}
