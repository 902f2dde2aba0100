/**
 * Reads the tar of a layer that a container build put on top: its files become content objects, its directories a tree in
 * ostree's form (`etc` is `usr/etc`). Whiteouts stay files, to be applied when layers are merged. The rules are those of
 * bootc's ostree-ext (`tar/write.rs`).
 */
import { OstrataError } from '../../errors.js';
import { type Dirmeta, S_IFDIR, S_IFLNK, S_IFREG } from '../../ostree/objects/dirmeta.js';
import { type FileHeader, startFileChecksum } from '../../ostree/objects/file.js';
import { encodeXattrs } from '../../ostree/objects/xattr-list.js';
import { type TarHeader, TarReader, type TarVisitor } from '../../tar/reader.js';
import { REPO_DIRECTORY } from '../../tree/ostree-tar.js';

/** What is mounted over in a running system: the directories stay, what is in them is dropped. */
const MOUNT_POINTS = new Set(['run', 'tmp', 'proc', 'sys', 'dev']);
/** The parts of a system that ostree keeps. */
const KEPT = new Set(['usr', 'etc', 'var']);
/** Bounds memory: several times the largest desktop systems. */
const MAX_ENTRIES = 4_000_000;
const SYMLINK_MODE = S_IFLNK | 0o777;
/** Of the machine that built the image; labels are those of the system's own policy. */
const DROPPED_XATTR = 'security.selinux';

export interface DerivedDirectory {
  /** Undefined where the layer does not name the directory itself. */
  meta: Dirmeta | undefined;
  /** Content objects by name. */
  readonly files: Map<string, string>;
  readonly dirs: Map<string, DerivedDirectory>;
}

export interface DerivedLayer {
  readonly root: DerivedDirectory;
  /** Entries that were dropped, by the first component of their path. */
  readonly dropped: ReadonlyMap<string, number>;
}

/** Takes content objects whose checksums are known when they end. */
export interface NewObjectSink {
  newFile(header: FileHeader): { write(bytes: Uint8Array): void; finish(checksum: string): void };
}

/** @param keepAll keep top-level directories other than usr, etc and var, as the base system can have them */
export async function readDerivedLayer(
  stream: AsyncIterable<Uint8Array>,
  sink: NewObjectSink,
  keepAll: boolean,
): Promise<DerivedLayer> {
  const layer = new DerivedReader(sink, keepAll);
  const reader = new TarReader(layer);
  for await (const bytes of stream) {
    reader.push(bytes);
  }
  reader.end();
  return layer.finish();
}

const newDirectory = (): DerivedDirectory => ({
  meta: undefined,
  files: new Map(),
  dirs: new Map(),
});

class DerivedReader implements TarVisitor {
  readonly #sink: NewObjectSink;
  readonly #keepAll: boolean;
  readonly #root = newDirectory();
  readonly #dropped = new Map<string, number>();
  /** Objects of the base's repository that were written anew, by their paths: paths are linked to them. */
  readonly #changedObjects = new Map<string, string>();
  #target: { write(bytes: Uint8Array): void; finish(): void } | undefined;
  #entries = 0;

  constructor(sink: NewObjectSink, keepAll: boolean) {
    this.#sink = sink;
    this.#keepAll = keepAll;
  }

  entry(header: TarHeader): void {
    this.#target = undefined;
    if (++this.#entries > MAX_ENTRIES) {
      throw new OstrataError('LIMIT', `more than ${MAX_ENTRIES} entries`);
    }
    const parts = components(header.name);
    const path = parts.join('/');
    if (path.startsWith(`${REPO_DIRECTORY}/`)) {
      // Its time does not tell whether it was changed: chmod leaves that alone.
      if (header.type === 'file' || header.type === 'symlink') {
        this.#content(header, (checksum) => this.#changedObjects.set(path, checksum));
      }
      return;
    }
    const place = this.#place(parts);
    if (place === undefined) {
      this.#drop(parts[0] as string);
    } else if (header.type === 'directory') {
      this.#directory(place, header);
    } else {
      this.#file(place, header);
    }
  }

  content(bytes: Uint8Array): void {
    this.#target?.write(bytes);
  }

  entryEnd(): void {
    this.#target?.finish();
  }

  finish(): DerivedLayer {
    return { root: this.#root, dropped: this.#dropped };
  }

  #drop(component: string): void {
    this.#dropped.set(component, (this.#dropped.get(component) ?? 0) + 1);
  }

  /** Where an entry goes in the tree; undefined where it is dropped. */
  #place(parts: readonly string[]): readonly string[] | undefined {
    const [first] = parts;
    if (first === undefined) {
      return parts;
    }
    if (first === 'etc') {
      return ['usr', ...parts];
    }
    if (MOUNT_POINTS.has(first)) {
      return parts.length === 1 ? parts : undefined;
    }
    return KEPT.has(first) || this.#keepAll ? parts : undefined;
  }

  #directory(place: readonly string[], { uid, gid, mode, xattrs }: TarHeader): void {
    this.#enter(place).meta = { uid, gid, mode: mode | S_IFDIR, xattrs: kept(xattrs) };
  }

  #file(place: readonly string[], header: TarHeader): void {
    const name = place.at(-1);
    if (name === undefined) {
      throw corrupt('the root of the image is no directory');
    }
    const parent = this.#enter(place.slice(0, -1));
    if (parent.dirs.has(name)) {
      throw corrupt('is a directory before');
    }
    if (header.type === 'link') {
      parent.files.set(name, this.#linked(header.linkname));
    } else {
      this.#content(header, (checksum) => parent.files.set(name, checksum));
    }
  }

  /** The object at the path that a hard link names. */
  #linked(linkname: string): string {
    const parts = components(linkname);
    const place = this.#place(parts);
    const target = this.#changedObjects.get(parts.join('/')) ?? (place && this.#lookup(place));
    if (target === undefined) {
      throw corrupt(`is a link to ${linkname}, which does not precede it in the layer`);
    }
    return target;
  }

  #lookup(place: readonly string[]): string | undefined {
    let directory: DerivedDirectory | undefined = this.#root;
    for (const name of place.slice(0, -1)) {
      directory = directory?.dirs.get(name);
    }
    return directory?.files.get(place.at(-1) as string);
  }

  #enter(place: readonly string[]): DerivedDirectory {
    let directory = this.#root;
    for (const name of place) {
      if (directory.files.has(name)) {
        throw corrupt(`${name} is no directory before`);
      }
      const next = directory.dirs.get(name) ?? newDirectory();
      directory.dirs.set(name, next);
      directory = next;
    }
    return directory;
  }

  #content(header: TarHeader, done: (checksum: string) => void): void {
    const { type, uid, gid, mode, size, linkname } = header;
    if (type !== 'file' && type !== 'symlink') {
      throw new OstrataError('UNSUPPORTED', `is a ${type}`);
    }
    const file: FileHeader = {
      uid,
      gid,
      mode: type === 'file' ? mode | S_IFREG : SYMLINK_MODE,
      size,
      ...(type === 'symlink' && { target: linkname }),
      xattrsBytes: encodeXattrs(kept(header.xattrs)),
    };
    const hash = startFileChecksum(file);
    const sink = this.#sink.newFile(file);
    this.#target = {
      write(bytes) {
        hash.update(bytes);
        sink.write(bytes);
      },
      finish() {
        const checksum = hash.digest('hex');
        sink.finish(checksum);
        done(checksum);
      },
    };
  }
}

/** Of a path in a layer, which may begin with `/` or `./`. */
function components(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) {
    throw corrupt('leaves the image');
  }
  return parts;
}

function kept(xattrs: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  return new Map([...xattrs].filter(([name]) => name !== DROPPED_XATTR));
}

function corrupt(rule: string): OstrataError {
  return new OstrataError('CORRUPT', rule);
}
