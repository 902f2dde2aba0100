/**
 * Reads an ostree repository in any of its modes, without libostree. Everything that is read is
 * verified by its checksum, except detached metadata, which has none.
 */
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { join, resolve as resolvePath } from 'node:path';
import type { BufferSource, ByteStream } from '../bytes/stream.js';
import { errnoOf, inContext, OstrataError, wrapError } from '../errors.js';
import { ArchiveStore } from './archive.js';
import { BareStore } from './bare.js';
import { parseConfig, type RepoConfig, type RepoMode } from './config.js';
import { type ContentStore, verified, verifySymlink } from './content.js';
import { type Commit, decodeCommit, decodeMetadata, type Metadata } from './objects/commit.js';
import { type Dirmeta, decodeDirmeta } from './objects/dirmeta.js';
import { type Dirtree, decodeDirtree } from './objects/dirtree.js';
import type { FileInfo } from './objects/file.js';
import {
  MAX_METADATA_SIZE,
  type MetadataKind,
  type ObjectKind,
  objectPath,
  sha256Hex,
} from './objects/object-name.js';
import { XattrsInterner } from './objects/xattr-list.js';
import { resolveRev } from './refs.js';

/** Longest chain of parent repositories; a longer one is taken for a loop. */
const MAX_PARENTS = 8;

/** A metadata object. */
export interface Loaded<T> {
  readonly checksum: string;
  /** As it is stored. */
  readonly bytes: Uint8Array;
  readonly parsed: T;
}

/** Opens the repository in directory `path`. Reads no more than its `config` and its parents'. */
export function openRepo(path: string): OstreeRepo {
  return open(path, 0);
}

function open(path: string, depth: number): OstreeRepo {
  const text = readIfPresent(join(path, 'config'));
  if (text === undefined) {
    throw new OstrataError('NOT_FOUND', `no ostree repository at ${path}: it has no file config`);
  }
  return inContext(`opening ostree repository ${path}`, () => {
    const config = parseConfig(text.toString());
    if (config.parent === undefined) {
      return new OstreeRepo(path, config);
    }
    if (depth === MAX_PARENTS) {
      throw new OstrataError('LIMIT', `more than ${MAX_PARENTS} parent repositories`);
    }
    return new OstreeRepo(path, config, open(resolvePath(path, config.parent), depth + 1));
  });
}

/**
 * An ostree repository. It holds no open files. All reading is synchronous, except the content of
 * large files in an archive repository.
 */
export class OstreeRepo {
  readonly path: string;
  readonly config: RepoConfig;
  /** The repository that is searched for objects and refs that this one does not have. */
  readonly parent: OstreeRepo | undefined;
  readonly #objects: string;
  readonly #content: ContentStore;

  /** Repositories are opened by {@link openRepo}. */
  constructor(path: string, config: RepoConfig, parent?: OstreeRepo) {
    this.path = path;
    this.config = config;
    this.parent = parent;
    this.#objects = join(path, 'objects');
    this.#content = createContentStore(this.#objects, config.mode);
  }

  get mode(): RepoMode {
    return this.config.mode;
  }

  /**
   * Returns the checksum of the commit that `rev` names: `<ref>`, `<remote>:<ref>`, or the checksum
   * of a commit or its unique beginning. Each `^` after it goes to the parent of the commit. Throws
   * `NOT_FOUND` if nothing has that name, and `AMBIGUOUS` if several commits have it.
   */
  resolve(rev: string): string {
    return resolveRev(this, rev);
  }

  /**
   * Loads a commit. Throws `NOT_FOUND` if it is missing, or if it is marked as partial.
   * @param partial whether to load it even if it is marked as partial
   */
  loadCommit(checksum: string, { partial = false } = {}): Loaded<Commit> {
    const commit = this.#load(checksum, 'commit', decodeCommit);
    if (!partial && this.#isPartial(checksum)) {
      throw new OstrataError(
        'NOT_FOUND',
        `commit ${checksum} in ${this.path} is partial: not all its objects are here`,
      );
    }
    return commit;
  }

  /** Loads the detached metadata (signatures) of a commit, if any. No checksum covers it. */
  loadCommitMeta(checksum: string): Loaded<Metadata> | undefined {
    const bytes = this.#read(checksum, 'commitmeta');
    if (bytes === undefined) {
      return this.parent?.loadCommitMeta(checksum);
    }
    const context = this.#reading(checksum, 'commitmeta');
    return { checksum, bytes, parsed: inContext(context, () => decodeMetadata(bytes)) };
  }

  /** Loads a dirtree. Throws `NOT_FOUND` if it is missing. */
  loadDirtree(checksum: string): Loaded<Dirtree> {
    return this.#load(checksum, 'dirtree', decodeDirtree);
  }

  /** Loads a dirmeta. Throws `NOT_FOUND` if it is missing. */
  loadDirmeta(checksum: string): Loaded<Dirmeta> {
    return this.#load(checksum, 'dirmeta', decodeDirmeta);
  }

  /**
   * Loads the bytes of a metadata object and verifies its checksum, but does not parse it: for
   * objects that have been parsed before.
   */
  loadBytes(checksum: string, kind: 'dirtree' | 'dirmeta'): Uint8Array {
    return this.#load(checksum, kind, () => undefined).bytes;
  }

  /**
   * Returns the metadata of a content object. A symlink is verified by its checksum; a regular file
   * is verified when it is read. Throws `NOT_FOUND` if the object is missing.
   */
  fileInfo(checksum: string): FileInfo {
    return this.#locate(checksum).info;
  }

  /**
   * Reads the content of a regular file in chunks, each valid until the next one is asked for.
   * Throws `CORRUPT` at the end unless size, metadata and bytes match the checksum.
   * @param info from {@link fileInfo}, if the caller has it
   * @param buffers memory for the chunks; an archive repository does not use it
   */
  readFile(checksum: string, info?: FileInfo, buffers?: BufferSource): ByteStream {
    const canReadHere = info !== undefined && this.parent === undefined;
    const located: LocatedFile = canReadHere ? { repo: this, info } : this.#locate(checksum);
    if (located.info.type !== 'file') {
      throw new OstrataError('NOT_FOUND', `content object ${checksum} is a symlink`);
    }

    const context = located.repo.#reading(checksum, 'file');
    return inContext(context, () => {
      const content = located.repo.#content.read(checksum, located.info, buffers);
      return verified(content, located.info, checksum, context);
    });
  }

  /** Finds a content object here or in a parent. */
  #locate(checksum: string): LocatedFile {
    const info = inContext(this.#reading(checksum, 'file'), () => {
      const found = this.#content.info(checksum);
      if (found?.type === 'symlink') {
        verifySymlink(found, checksum);
      }
      return found;
    });
    if (info !== undefined) {
      return { repo: this, info };
    }
    if (this.parent !== undefined) {
      return this.parent.#locate(checksum);
    }
    throw this.#missing(checksum, 'file');
  }

  #load<T>(checksum: string, kind: MetadataKind, parse: (bytes: Uint8Array) => T): Loaded<T> {
    const bytes = this.#read(checksum, kind);
    if (bytes === undefined) {
      if (this.parent !== undefined) {
        return this.parent.#load(checksum, kind, parse);
      }
      throw this.#missing(checksum, kind);
    }
    return inContext(this.#reading(checksum, kind), () => {
      const computed = sha256Hex(bytes);
      if (computed !== checksum) {
        throw new OstrataError('CORRUPT', `its bytes have the checksum ${computed}`);
      }
      return { checksum, bytes, parsed: parse(bytes) };
    });
  }

  #read(checksum: string, kind: MetadataKind): Uint8Array | undefined {
    return inContext(this.#reading(checksum, kind), () =>
      readIfPresent(join(this.#objects, objectPath(checksum, kind))),
    );
  }

  #isPartial(checksum: string): boolean {
    const marker = join(this.path, 'state', `${checksum}.commitpartial`);
    return statSync(marker, { throwIfNoEntry: false }) !== undefined;
  }

  #reading(checksum: string, kind: ObjectKind): string {
    return `reading ${kind} object ${checksum} of ${this.path}`;
  }

  #missing(checksum: string, kind: ObjectKind): OstrataError {
    return new OstrataError(
      'NOT_FOUND',
      `${kind} object ${checksum} is not in ostree repository ${this.path}`,
    );
  }
}

/** A content object, and the repository that has it: this one or a parent. */
interface LocatedFile {
  readonly repo: OstreeRepo;
  readonly info: FileInfo;
}

/**
 * Creates the reader of content objects.
 * @param objects the directory that holds the objects
 */
export function createContentStore(objects: string, mode: RepoMode): ContentStore {
  const interner = new XattrsInterner();
  return mode === 'archive'
    ? new ArchiveStore(objects, interner)
    : new BareStore(objects, mode, interner);
}

/** Reads a file of at most {@link MAX_METADATA_SIZE} bytes. Returns undefined if it is missing. */
function readIfPresent(path: string): Uint8Array | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return undefined;
    }
    throw wrapError(`reading ${path}`, error);
  }

  try {
    const { size } = fstatSync(fd);
    if (size > MAX_METADATA_SIZE) {
      throw new OstrataError('LIMIT', `${size} bytes, at most ${MAX_METADATA_SIZE}`);
    }
    return inContext(`reading ${path}`, () => readFileSync(fd));
  } finally {
    closeSync(fd);
  }
}
