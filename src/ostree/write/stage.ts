/**
 * Objects on their way into a repository: written to a private directory below its `tmp`, published by rename when all
 * of them are there and on the disk. What a process that ended left behind is no part of the repository.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { inContext, OstrataError } from '../../errors.js';
import { libcIfThere } from '../../system/libc.js';
import type { RepoConfig } from '../config.js';
import type { FileHeader } from '../objects/file.js';
import {
  encodeObjectName,
  MAX_METADATA_SIZE,
  type MetadataKind,
  OBJECT_KINDS,
  objectPath,
  parseObjectName,
} from '../objects/object-name.js';
import {
  type ContentWriter,
  contentExtension,
  createContent,
  writeObjectFile,
} from './content-writer.js';

const PREFIX = 'ostrata-';
/** How much may be written before the free space is looked at again. */
const SPACE_STEP = 256 << 20;

/** What a stage needs to know of its repository; plain data, for worker threads. */
export interface StageTarget {
  readonly path: string;
  readonly config: RepoConfig;
}

/** A new private directory for stages. */
export function createStagingDirectory(repoPath: string): string {
  mkdirSync(join(repoPath, 'tmp'), { recursive: true });
  return mkdtempSync(join(repoPath, 'tmp', PREFIX));
}

/** Removes staging directories. Call it only where no other process can be writing: with the exclusive lock. */
export function removeStagingDirectories(repoPath: string): void {
  const tmp = join(repoPath, 'tmp');
  for (const name of existsSync(tmp) ? readdirSync(tmp) : []) {
    if (name.startsWith(PREFIX)) {
      rmSync(join(tmp, name), { recursive: true, force: true });
    }
  }
}

export class ObjectStage {
  readonly #target: StageTarget;
  readonly #directory: string;
  readonly #names = new Set<string>();
  #open: ContentWriter | undefined;
  #space = 0;

  /** @param directory an empty one on the repository's file system */
  constructor(target: StageTarget, directory: string) {
    this.#target = target;
    this.#directory = directory;
  }

  /** `CHECKSUM.extension` of what was written: what {@link publishObjects} takes. */
  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /** Whether the repository or this stage has the object. */
  has(name: string): boolean {
    return this.#names.has(name) || hasObject(this.#target.path, name);
  }

  /** Writes a metadata object whose checksum the caller has verified; commitmeta replaces what is there. */
  metadata(kind: MetadataKind, checksum: string, bytes: Uint8Array): void {
    const name = encodeObjectName(checksum, kind);
    if (bytes.length > MAX_METADATA_SIZE) {
      throw new OstrataError(
        'LIMIT',
        `object ${name} of ${bytes.length} bytes, at most ${MAX_METADATA_SIZE}`,
      );
    }
    if (kind !== 'commitmeta' && this.has(name)) {
      return;
    }
    this.#reserve(bytes.length);
    inContext(`writing object ${name}`, () => writeObjectFile(join(this.#directory, name), bytes));
    this.#names.add(name);
  }

  /** Begins a content object; undefined where it is there already. The caller verifies the checksum before `finish`. */
  file(
    checksum: string,
    header: FileHeader,
  ): { write(bytes: Uint8Array): void; finish(): void } | undefined {
    const { mode } = this.#target.config;
    const name = encodeObjectName(checksum, contentExtension(mode));
    if (this.has(name)) {
      return undefined;
    }
    this.#reserve(header.size);
    const writing = `writing object ${name}`;
    const writer = inContext(writing, () =>
      createContent(mode, join(this.#directory, name), header, this.#target.config),
    );
    this.#open = writer;
    return {
      write: (bytes) => inContext(writing, () => writer.write(bytes)),
      finish: () => {
        this.#open = undefined;
        inContext(writing, () => writer.finish());
        this.#names.add(name);
      },
    };
  }

  /** Begins a content object whose checksum is known when it ends. */
  newFile(header: FileHeader): { write(bytes: Uint8Array): void; finish(checksum: string): void } {
    const { mode } = this.#target.config;
    const path = join(this.#directory, 'new');
    this.#reserve(header.size);
    const writer = inContext('writing an object', () =>
      createContent(mode, path, header, this.#target.config),
    );
    this.#open = writer;
    return {
      write: (bytes) => inContext('writing an object', () => writer.write(bytes)),
      finish: (checksum) => {
        this.#open = undefined;
        const name = encodeObjectName(checksum, contentExtension(mode));
        inContext(`writing object ${name}`, () => {
          writer.finish();
          if (this.has(name)) {
            unlinkSync(path);
          } else {
            renameSync(path, join(this.#directory, name));
          }
        });
        if (!hasObject(this.#target.path, name)) {
          this.#names.add(name);
        }
      },
    };
  }

  /** Closes what is open; the directory is the caller's to remove. */
  abandon(): void {
    this.#open?.abandon();
    this.#open = undefined;
  }

  /** Fails before the file system is fuller than the repository's config allows. */
  #reserve(size: number): void {
    if (size > this.#space) {
      const { bavail, bsize, blocks } = statfsSync(this.#target.path);
      const { minFree } = this.#target.config;
      const reserved = 'bytes' in minFree ? minFree.bytes : blocks * bsize * minFree.part;
      const available = bavail * bsize - reserved;
      if (size > available) {
        throw new OstrataError(
          'IO',
          `no space: an object of ${size} bytes, ${Math.max(0, Math.floor(available))} bytes may be used of ` +
            `${bavail * bsize} free (min-free-space of ${this.#target.path})`,
        );
      }
      this.#space = Math.max(size, Math.min(available, SPACE_STEP));
    }
    this.#space -= size;
  }
}

/** @param name `CHECKSUM.extension` */
export function hasObject(repoPath: string, name: string): boolean {
  return (
    lstatSync(join(repoPath, 'objects', pathOf(name)), { throwIfNoEntry: false }) !== undefined
  );
}

/** Objects in a directory, `CHECKSUM.extension` each. */
export interface StagedObjects {
  readonly directory: string;
  readonly names: Iterable<string>;
}

/**
 * Makes staged objects, which are on the disk, part of the repository. What is there already stays, as deployments are
 * linked to it; only commitmeta is replaced.
 */
export function publishObjects(repoPath: string, { directory, names }: StagedObjects): void {
  const objects = join(repoPath, 'objects');
  const folders = new Set<string>();
  for (const name of names) {
    const { checksum, kind } = parseObjectName(name, OBJECT_KINDS);
    const path = objectPath(checksum, kind);
    const folder = path.slice(0, 2);
    if (!folders.has(folder)) {
      mkdirSync(join(objects, folder), { recursive: true });
    }
    folders.add(folder);
    if (kind !== 'commitmeta' && hasObject(repoPath, name)) {
      unlinkSync(join(directory, name));
    } else {
      inContext('publishing', () => renameSync(join(directory, name), join(objects, path)));
    }
  }
}

/** Links the object file `source` into the repository; false where that cannot be, e.g. across file systems. */
export function linkObject(source: string, repoPath: string, name: string): boolean {
  const path = join(repoPath, 'objects', pathOf(name));
  try {
    mkdirSync(dirname(path), { recursive: true });
    linkSync(source, path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EEXIST';
  }
}

function pathOf(name: string): string {
  const { checksum, kind } = parseObjectName(name, OBJECT_KINDS);
  return objectPath(checksum, kind);
}

/**
 * Waits until all that was written to the file system of `directory` is on the disk: one call instead of one for each of
 * many files. Where that call is not to be had, it is `directory` and each of `paths` in it.
 * @param fd on that file system, open since before anything was written: a write that failed is told to it even where
 * another process's call was told before (fs/sync.c of Linux, errseq_t)
 */
export function syncFileSystem(fd: number, directory: string, paths: () => Iterable<string>): void {
  const libc = libcIfThere();
  if (libc === undefined) {
    for (const path of [...paths(), '.']) {
      syncPath(join(directory, path));
    }
  } else if (libc.syncFileSystem(fd) < 0) {
    throw new OstrataError('IO', `syncing ${directory}: ${getSystemErrorName(-libc.errno())}`);
  }
}

/** fsync(2) of a file or directory. */
export function syncPath(path: string): void {
  inContext(`syncing ${path}`, () => {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });
}
