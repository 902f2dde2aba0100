/** The objects of a commit, made in memory from the entries of its tree. */
import { compareUtf8 } from '../bytes/text.js';
import { must } from '../errors.js';
import { type Dirmeta, encodeDirmeta } from '../ostree/objects/dirmeta.js';
import {
  type Dirtree,
  type DirtreeDir,
  type DirtreeFile,
  encodeDirtree,
} from '../ostree/objects/dirtree.js';
import type { FileInfo } from '../ostree/objects/file.js';
import { sha256Hex } from '../ostree/objects/object-name.js';
import { xattrsEncoder } from '../ostree/objects/xattr-list.js';
import type { LoadBytes } from './commit.js';
import type { CommitMetadata } from './commit-walk.js';
import { baseName, parentPath } from './path.js';
import type { ContentEntry, FileEntry, TreePath } from './tree.js';

/** A directory whose dirtree is not yet made. */
interface OpenDirectory {
  readonly dirmeta: string;
  readonly files: DirtreeFile[];
  readonly dirs: DirtreeDir[];
}

/** The objects of a commit, except the commit itself. */
interface CommitObjects extends CommitMetadata {
  /** The metadata of each content object, by checksum. */
  readonly objects: ReadonlyMap<string, FileInfo>;
  /** Keeps in memory only the bytes of the objects. */
  readonly loadBytes: LoadBytes;
}

/** Makes the objects of a commit. */
export class CommitBuilder {
  readonly #objects = new Map<string, FileInfo>();
  readonly #open = new Map<TreePath, OpenDirectory>();
  readonly #dirtrees = new MadeObjects<Dirtree>(encodeDirtree);
  readonly #dirmetas = new MadeObjects<Dirmeta>(encodeDirmeta);
  readonly #encodeXattrs = xattrsEncoder();

  /** Adds an entry at `path`. The directory that it is in must have been added before. */
  add(path: TreePath, entry: FileEntry): void {
    if (entry.type === 'directory') {
      const { mode, uid, gid, xattrs } = entry;
      const dirmeta = this.#dirmetas.add({ mode, uid, gid, xattrs });
      this.#open.set(path, { dirmeta, files: [], dirs: [] });
      return;
    }
    const { checksum } = entry;
    this.#directoryAt(parentPath(path)).files.push({ name: baseName(path), checksum });
    if (!this.#objects.has(checksum)) {
      this.#objects.set(checksum, fileInfo(entry, this.#encodeXattrs(entry.xattrs)));
    }
  }

  /** Makes the dirtrees, once all entries have been added. */
  finish(): CommitObjects {
    // A directory comes after those that it is in, so they are made in the reverse order.
    const paths = [...this.#open.keys()].sort().reverse();
    for (const path of paths) {
      if (path !== '/') {
        const dir = { name: baseName(path), ...this.#close(path) };
        this.#directoryAt(parentPath(path)).dirs.push(dir);
      }
    }
    const root = this.#close('/');
    const dirtrees = this.#dirtrees;
    const dirmetas = this.#dirmetas;
    const bytes = { dirtree: dirtrees.bytes, dirmeta: dirmetas.bytes };
    return {
      root,
      objects: this.#objects,
      loadDirtree: (checksum) => must(dirtrees.parsed.get(checksum), checksum),
      loadDirmeta: (checksum) => must(dirmetas.parsed.get(checksum), checksum),
      loadBytes: (checksum, kind) => must(bytes[kind].get(checksum), checksum),
    };
  }

  #directoryAt(path: TreePath): OpenDirectory {
    return must(this.#open.get(path), path);
  }

  /** Makes the dirtree of a directory. Those below it are made. */
  #close(path: TreePath): Pick<DirtreeDir, 'dirtree' | 'dirmeta'> {
    const { files, dirs, dirmeta } = this.#directoryAt(path);
    files.sort(byName);
    dirs.sort(byName);
    return { dirtree: this.#dirtrees.add({ files, dirs }), dirmeta };
  }
}

interface Named {
  readonly name: string;
}

function byName(a: Named, b: Named): number {
  return compareUtf8(a.name, b.name);
}

function fileInfo(entry: ContentEntry, xattrsBytes: Uint8Array): FileInfo {
  const { type, uid, gid, mode, size, xattrs } = entry;
  const target = entry.type === 'symlink' ? entry.target : undefined;
  return {
    type,
    uid,
    gid,
    mode,
    size,
    target,
    xattrs,
    xattrsBytes,
  };
}

/** Metadata objects of one kind by their checksums. */
class MadeObjects<T> {
  readonly #encode: (object: T) => Uint8Array;
  readonly parsed = new Map<string, T>();
  readonly bytes = new Map<string, Uint8Array>();

  constructor(encode: (object: T) => Uint8Array) {
    this.#encode = encode;
  }

  /** Returns the checksum of an object. */
  add(parsed: T): string {
    const bytes = this.#encode(parsed);
    const checksum = sha256Hex(bytes);
    if (!this.bytes.has(checksum)) {
      this.parsed.set(checksum, parsed);
      this.bytes.set(checksum, bytes);
    }
    return checksum;
  }
}
