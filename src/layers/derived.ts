/**
 * Reads the tar of a layer that holds files at their paths: one that a container build put on top
 * of an image, or any layer of a plain image. Files become content objects, directories become a
 * tree in the form of ostree commits (`etc` is `usr/etc`). Whiteouts stay files; they take effect
 * when layers are merged. The rules are those of bootc's ostree-ext:
 * https://github.com/bootc-dev/bootc/blob/main/crates/ostree-ext/src/tar/write.rs
 */
import type { ContentSink } from '../bytes/stream.js';
import { must, OstrataError } from '../errors.js';
import type { LayerTar } from '../oci/layer-tar.js';
import { parseWhiteout } from '../oci/whiteout.js';
import { type Dirmeta, S_IFDIR, S_IFLNK } from '../ostree/objects/dirmeta.js';
import type { FileHeader } from '../ostree/objects/file.js';
import { encodeXattrs } from '../ostree/objects/xattr-list.js';
import type { NewContentSink } from '../ostree/write/content-writer.js';
import type { TarHeader } from '../tar/entry.js';
import { MAX_TREE_ENTRIES } from '../tree/file-map.js';
import { withoutLabel } from '../tree/labels.js';
import { contentHeader, hashContent, pathComponents, readLayerTar } from '../tree/layer-tar.js';
import { REPO_DIRECTORY } from '../tree/ostree-tar.js';
import { WaitingLinks } from './waiting-links.js';

/** Mounted over in a running system: the directories stay, their content is dropped. */
export const MOUNT_POINTS: ReadonlySet<string> = new Set(['run', 'tmp', 'proc', 'sys', 'dev']);
/** Where the `/etc` of a layer is in a commit. */
const ETC = 'usr/etc';
const SYMLINK_MODE = S_IFLNK | 0o777;

/** Owner and mode of directories that a layer does not list. */
export const DEFAULT_DIRMETA: Dirmeta = {
  uid: 0,
  gid: 0,
  mode: S_IFDIR | 0o755,
  xattrs: new Map(),
};

export interface DerivedDirectory {
  /** Index among {@link DerivedLayer.directories} of the one that holds this; none for the root. */
  readonly parent: number | undefined;
  /** The last component of the path; empty for the root. */
  readonly name: string;
  /** Undefined if the layer does not list the directory itself. */
  readonly meta: Dirmeta | undefined;
  /** Checksums of content objects by name. */
  readonly files: ReadonlyMap<string, string>;
}

export interface DerivedLayer {
  /**
   * The root, then all others, each after the directory that holds it. This is a list and not a
   * nested structure because threads cannot send each other one that is a thousand levels deep.
   */
  readonly directories: readonly DerivedDirectory[];
  /** Number of entries that were dropped, by the mount point that they are below. */
  readonly dropped: ReadonlyMap<string, number>;
}

export interface NewObjectSink {
  newFile(header: FileHeader): NewContentSink;
}

/** Reads the layer to its end. Throws `CORRUPT`, `UNSUPPORTED` or `LIMIT`, naming the entry. */
export async function readDerivedLayer(tar: LayerTar, sink: NewObjectSink): Promise<DerivedLayer> {
  const layer = new DerivedReader(sink);
  await readLayerTar(tar, (header) => layer.entry(header));
  return layer.finish();
}

/** Yields each directory with its path, without a leading slash; the path of the root is empty. */
export function* directoriesWithPaths({
  directories,
}: DerivedLayer): Iterable<readonly [directory: DerivedDirectory, path: string]> {
  const paths: string[] = [];
  for (const directory of directories) {
    const { parent, name } = directory;
    const parentPath = parent === undefined ? '' : must(paths[parent], 'path of the parent');
    const path = parentPath === '' ? name : `${parentPath}/${name}`;
    paths.push(path);
    yield [directory, path];
  }
}

/** A directory of the layer that is being read, with what it takes to find paths in it. */
interface OpenDirectory extends DerivedDirectory {
  readonly index: number;
  meta: Dirmeta | undefined;
  readonly files: Map<string, string>;
  readonly dirs: Map<string, OpenDirectory>;
}

class DerivedReader {
  readonly #sink: NewObjectSink;
  readonly #directories: OpenDirectory[] = [];
  readonly #root: OpenDirectory;
  readonly #dropped = new Map<string, number>();
  /**
   * Objects of the ostree repository in the image that this layer contains again, by path. Files of
   * the layer can be hard links to them.
   */
  readonly #changedObjects = new Map<string, string>();
  readonly #waitingLinks = new WaitingLinks();
  #entryCount = 0;

  constructor(sink: NewObjectSink) {
    this.#sink = sink;
    this.#root = this.#addDirectory(undefined, '');
  }

  entry(header: TarHeader): ContentSink | undefined {
    this.#count();

    const parts = pathComponents(header.name);
    const path = parts.join('/');
    if (path.startsWith(`${REPO_DIRECTORY}/`)) {
      // Objects that seem unchanged are read, too: chmod changes a file but not its modification
      // time.
      return header.type === 'file' || header.type === 'symlink'
        ? this.#content(header, (checksum) => this.#changedObjects.set(path, checksum))
        : undefined;
    }

    const location = this.#locate(parts);
    if (location === undefined) {
      this.#drop(parts);
      return undefined;
    }
    if (header.type !== 'directory') {
      return this.#file(location, header);
    }
    if (isWhiteout(location.at(-1) ?? '')) {
      return this.#file(location, { ...header, type: 'file' });
    }
    this.#directory(location, header);
    return undefined;
  }

  finish(): DerivedLayer {
    this.#waitingLinks.settle((path) => this.#find(path));
    const directories = this.#directories.map(({ parent, name, meta, files }) => ({
      parent,
      name,
      meta,
      files,
    }));
    return { directories, dropped: this.#dropped };
  }

  /** Counts an entry, or a directory that no entry lists: one long path adds two thousand. */
  #count(): void {
    this.#entryCount++;
    if (this.#entryCount > MAX_TREE_ENTRIES) {
      throw new OstrataError('LIMIT', `more than ${MAX_TREE_ENTRIES} entries and directories`);
    }
  }

  #drop([first = '']: readonly string[]): void {
    this.#dropped.set(first, (this.#dropped.get(first) ?? 0) + 1);
  }

  /** Returns where an entry goes in the tree of a commit; undefined if it is dropped. */
  #locate(parts: readonly string[]): readonly string[] | undefined {
    const [first] = parts;
    if (first === undefined) {
      return parts;
    }
    if (first === 'etc') {
      return ['usr', ...parts];
    }
    return MOUNT_POINTS.has(first) && parts.length > 1 ? undefined : parts;
  }

  #directory(location: readonly string[], { uid, gid, mode, xattrs }: TarHeader): void {
    const directory = this.#enter(location);
    directory.meta = { uid, gid, mode: mode | S_IFDIR, xattrs: withoutLabel(xattrs) };
  }

  #file(location: readonly string[], header: TarHeader): ContentSink | undefined {
    const name = location.at(-1);
    if (name === undefined) {
      throw corrupt('the root of the image is not a directory');
    }
    if (location.length === 2 && location.join('/') === ETC) {
      throw new OstrataError(
        'UNSUPPORTED',
        `is a ${header.type}, but an ostree system needs a directory /etc`,
      );
    }

    parseWhiteout(name); // throws for a whiteout that names no file
    const parent = this.#enter(location.slice(0, -1));
    if (parent.dirs.has(name)) {
      throw corrupt('was a directory earlier in the layer');
    }
    if (header.type === 'link') {
      this.#link(parent, location, header.linkname);
      return undefined;
    }
    return this.#content(header, (checksum) => parent.files.set(name, checksum));
  }

  #link(directory: OpenDirectory, location: readonly string[], linkname: string): void {
    const name = location.at(-1) ?? '';
    const target = this.#linkTarget(linkname);
    const checksum = this.#find(target);
    if (checksum === undefined) {
      this.#waitingLinks.add({ directory, name, path: location.join('/'), target });
    } else {
      directory.files.set(name, checksum);
    }
  }

  /** The path that a hard link names, in the tree or in the base's repository. */
  #linkTarget(linkname: string): string {
    const parts = pathComponents(linkname);
    if (parseWhiteout(parts.at(-1) ?? '') !== undefined) {
      throw corrupt(`is a link to ${linkname}, which is a whiteout and no file of the image`);
    }
    const path = parts.join('/');
    if (path.startsWith(`${REPO_DIRECTORY}/`)) {
      return path;
    }
    const location = this.#locate(parts);
    if (location === undefined) {
      throw corrupt(`is a link to ${linkname}, which is left out`);
    }
    return location.join('/');
  }

  /** The content object at a path that {@link #linkTarget} returned. */
  #find(path: string): string | undefined {
    return this.#changedObjects.get(path) ?? this.#lookup(path.split('/'));
  }

  #lookup(location: readonly string[]): string | undefined {
    let directory: OpenDirectory | undefined = this.#root;
    for (const name of location.slice(0, -1)) {
      directory = directory?.dirs.get(name);
    }
    return directory?.files.get(location.at(-1) ?? '');
  }

  /** The directory at `location`, created with those above it if need be. */
  #enter(location: readonly string[]): OpenDirectory {
    let directory = this.#root;
    for (const name of location) {
      if (directory.files.has(name)) {
        throw corrupt(`${name} was not a directory earlier in the layer`);
      }
      directory = directory.dirs.get(name) ?? this.#addDirectory(directory, name);
    }
    return directory;
  }

  /** @param parent undefined for the root */
  #addDirectory(parent: OpenDirectory | undefined, name: string): OpenDirectory {
    this.#count();
    const directory: OpenDirectory = {
      index: this.#directories.length,
      parent: parent?.index,
      name,
      meta: undefined,
      files: new Map(),
      dirs: new Map(),
    };
    this.#directories.push(directory);
    parent?.dirs.set(name, directory);
    return directory;
  }

  /** Begins a content object; `onChecksum` gets its checksum when the entry ends. */
  #content(header: TarHeader, onChecksum: (checksum: string) => void): ContentSink {
    const { type } = header;
    if (type !== 'file' && type !== 'symlink') {
      throw new OstrataError('UNSUPPORTED', `is a ${type}, which ostree cannot store`);
    }
    const stated = contentHeader(header, encodeXattrs(withoutLabel(header.xattrs)));
    const file = type === 'symlink' ? { ...stated, mode: SYMLINK_MODE } : stated;

    const writer = this.#sink.newFile(file);
    return hashContent(file, writer, (checksum) => {
      writer.finish(checksum);
      onChecksum(checksum);
    });
  }
}

/** Whether a name removes files, even that of a directory: podman and umoci take it so. */
function isWhiteout(name: string): boolean {
  const whiteout = parseWhiteout(name);
  return whiteout !== undefined && whiteout.kind !== 'aufs';
}

function corrupt(rule: string): OstrataError {
  return new OstrataError('CORRUPT', rule);
}
