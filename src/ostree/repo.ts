/** Reading an ostree repository in any of its modes, without libostree. Everything read is verified by its checksum. */
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { join, resolve as resolvePath } from 'node:path';
import type { BufferSource, ByteStream } from '../bytes/stream.js';
import { inContext, OstrataError, wrapError } from '../errors.js';
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
  objectPath,
  sha256Hex,
} from './objects/object-name.js';
import { XattrsInterner } from './objects/xattr-list.js';
import { resolveRev } from './refs.js';

/** Repositories that refer to a parent that refers to a parent: more is taken for a loop. */
const MAX_PARENTS = 8;

/** A metadata object: as it is stored, and what it says. */
export interface Loaded<T> {
  readonly checksum: string;
  readonly bytes: Uint8Array;
  readonly parsed: T;
}

/** Opens the repository in directory `path`. Cheap: one file is read. */
export function openRepo(path: string): OstreeRepo {
  return open(path, 0);
}

function open(path: string, depth: number): OstreeRepo {
  const text = readIfThere(join(path, 'config'));
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

/** Synchronous, but for the content of large files in an archive repository; holds no open files. */
export class OstreeRepo {
  readonly path: string;
  readonly config: RepoConfig;
  /** Where objects and refs are looked for that are not here. */
  readonly parent: OstreeRepo | undefined;
  readonly #objects: string;
  readonly #content: ContentStore;

  /** Use {@link openRepo}. */
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
   * The commit checksum that `rev` names: `<ref>`, `<remote>:<ref>`, a commit id or its unique beginning; each `^`
   * behind it goes on to the parent. `NOT_FOUND` if there is none, `AMBIGUOUS` if a beginning fits several.
   */
  resolve(rev: string): string {
    return resolveRev(this, rev);
  }

  /** `NOT_FOUND` also where the commit is there, but marked as partial, unless that is asked for. */
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

  /** Detached metadata (signatures) of a commit; undefined if it has none. No checksum covers it. */
  loadCommitMeta(checksum: string): Loaded<Metadata> | undefined {
    const bytes = this.#read(checksum, 'commitmeta');
    if (bytes === undefined) {
      return this.parent?.loadCommitMeta(checksum);
    }
    return {
      checksum,
      bytes,
      parsed: inContext(this.#name(checksum, 'commitmeta'), () => decodeMetadata(bytes)),
    };
  }

  loadDirtree(checksum: string): Loaded<Dirtree> {
    return this.#load(checksum, 'dirtree', decodeDirtree);
  }

  loadDirmeta(checksum: string): Loaded<Dirmeta> {
    return this.#load(checksum, 'dirmeta', decodeDirmeta);
  }

  /** The bytes of a metadata object, verified but not looked into; for those that {@link loadDirtree} and its like have read before. */
  loadBytes(checksum: string, kind: 'dirtree' | 'dirmeta'): Uint8Array {
    return this.#load(checksum, kind, () => undefined).bytes;
  }

  /** Owner, mode, size, xattrs or target of a content object. A symlink is verified; a file when it is read. */
  fileInfo(checksum: string): FileInfo {
    return this.#locate(checksum).info;
  }

  /**
   * The content of a regular file; from a bare repository in chunks that fill `buffers`, or of at most 1 MiB. Chunks may share one
   * buffer: each is valid until the next. Throws `CORRUPT` at the end unless size, metadata and bytes match the checksum.
   */
  readFile(checksum: string, info?: FileInfo, buffers?: BufferSource): ByteStream {
    const located =
      info !== undefined && this.parent === undefined
        ? { repo: this as OstreeRepo, info }
        : this.#locate(checksum);
    if (located.info.type !== 'file') {
      throw new OstrataError('NOT_FOUND', `content object ${checksum} is a symlink`);
    }
    const context = located.repo.#name(checksum, 'file');
    return inContext(context, () =>
      verified(
        located.repo.#content.read(checksum, located.info, buffers),
        located.info,
        checksum,
        context,
      ),
    );
  }

  #locate(checksum: string): { repo: OstreeRepo; info: FileInfo } {
    const info = inContext(this.#name(checksum, 'file'), () => {
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
    return inContext(this.#name(checksum, kind), () => {
      const computed = sha256Hex(bytes);
      if (computed !== checksum) {
        throw new OstrataError('CORRUPT', `its bytes have the checksum ${computed}`);
      }
      return { checksum, bytes, parsed: parse(bytes) };
    });
  }

  #read(checksum: string, kind: MetadataKind): Uint8Array | undefined {
    return inContext(this.#name(checksum, kind), () =>
      readIfThere(join(this.#objects, objectPath(checksum, kind)), MAX_METADATA_SIZE),
    );
  }

  #isPartial(checksum: string): boolean {
    return (
      statSync(join(this.path, 'state', `${checksum}.commitpartial`), { throwIfNoEntry: false }) !==
      undefined
    );
  }

  #name(checksum: string, kind: MetadataKind | 'file'): string {
    return `reading ${kind} object ${checksum} of ${this.path}`;
  }

  #missing(checksum: string, kind: MetadataKind | 'file'): OstrataError {
    return new OstrataError(
      'NOT_FOUND',
      `${kind} object ${checksum} is not in ostree repository ${this.path}`,
    );
  }
}

/** @param objects the directory of a repository that holds its objects */
export function createContentStore(objects: string, mode: RepoMode): ContentStore {
  const interner = new XattrsInterner();
  return mode === 'archive'
    ? new ArchiveStore(objects, interner)
    : new BareStore(objects, mode, interner);
}

/** The bytes of a file, undefined where there is none; `LIMIT` above `maxSize`. */
function readIfThere(path: string, maxSize = MAX_METADATA_SIZE): Uint8Array | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const { size } = fstatSync(fd);
    if (size > maxSize) {
      throw new OstrataError('LIMIT', `${size} bytes, at most ${maxSize}`);
    }
    return readFileSync(fd);
  } catch (error) {
    if (error instanceof OstrataError) {
      throw error;
    }
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return undefined;
    }
    throw wrapError(`reading ${path}`, error);
  } finally {
    if (fd !== undefined) {
      closeSync(fd);
    }
  }
}
