/**
 * Objects on their way into a repository. They are written to a private directory below its `tmp`,
 * and published by rename when all of them are complete and on the disk. Whatever a process that
 * died has left in its directory is not part of the repository; the next writer removes it.
 */
import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  statfsSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import type { ContentSink } from '../../bytes/stream.js';
import { errnoOf, inContext, must, OstrataError } from '../../errors.js';
import { libcIfInstalled } from '../../system/libc.js';
import {
  makeTemporaryDirectory,
  type TemporaryDirectory,
} from '../../system/temporary-directory.js';
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
  type NewContentSink,
  writeObjectFile,
} from './content-writer.js';

const DIRECTORY_PREFIX = 'ostrata-';
/** File name of a content object whose checksum is not known yet. */
const NEW_FILE = 'new';
/** Bytes that may be written before the free space is checked again. */
const SPACE_STEP = 256 << 20;

/** The repository that a stage writes for. Plain data, so that worker threads can be given it. */
export interface StageTarget {
  readonly path: string;
  readonly config: RepoConfig;
}

/** Makes a private directory for the stages of this process. */
export function makeStagingDirectory(repoPath: string): TemporaryDirectory {
  const tmp = join(repoPath, 'tmp');
  mkdirSync(tmp, { recursive: true });
  return makeTemporaryDirectory(DIRECTORY_PREFIX, tmp);
}

/** Writes objects to one directory. At most one content object is open at a time. */
export class ObjectStage {
  readonly #target: StageTarget;
  readonly #directory: string;
  readonly #names = new Set<string>();
  #open: StagedObjectWriter | undefined;
  /** Bytes that may be written without checking the free space again. */
  #space = 0;

  /** @param directory an empty one on the repository's file system */
  constructor(target: StageTarget, directory: string) {
    this.#target = target;
    this.#directory = directory;
  }

  /** The names of the objects that were written, for {@link publishObjects}. */
  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /** Whether the repository or this stage has the object `name`. */
  has(name: string): boolean {
    return this.#names.has(name) || hasObject(this.#target.path, name);
  }

  /**
   * Writes a metadata object unless the repository or this stage has it. The caller has verified
   * its checksum. Only a commitmeta, which no checksum covers, is always written.
   */
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

  /**
   * Begins a content object. Returns undefined if the repository or this stage already has it. The
   * caller verifies the checksum before it calls `finish`.
   */
  file(checksum: string, header: FileHeader): ContentSink | undefined {
    const name = this.#contentName(checksum);
    return this.has(name) ? undefined : this.#begin(name, header, checksum);
  }

  /** Begins a content object whose checksum is known when it ends. */
  newFile(header: FileHeader): NewContentSink {
    return this.#begin(NEW_FILE, header);
  }

  /** Closes the object that is open. The caller removes the directory. */
  abandon(): void {
    this.#open?.abandon();
    this.#open = undefined;
  }

  #begin(fileName: string, header: FileHeader, checksum?: string): StagedObjectWriter {
    this.#reserve(header.size);
    const { config } = this.#target;
    const path = join(this.#directory, fileName);
    const context = checksum === undefined ? 'writing an object' : `writing object ${fileName}`;

    const content = inContext(context, () => createContent(config, path, header));
    const onFinish = (finished: string) => this.#keep(fileName, this.#contentName(finished));
    this.#open = new StagedObjectWriter(content, context, onFinish, checksum);
    return this.#open;
  }

  /** Gives a finished file its name, or removes it if there is such an object by now. */
  #keep(fileName: string, name: string): void {
    if (fileName === name) {
      this.#names.add(name);
      return;
    }

    const path = join(this.#directory, fileName);
    if (this.has(name)) {
      unlinkSync(path);
      return;
    }
    renameSync(path, join(this.#directory, name));
    this.#names.add(name);
  }

  #contentName(checksum: string): string {
    return encodeObjectName(checksum, contentExtension(this.#target.config.mode));
  }

  /** Throws `IO` before the file system is fuller than the repository's config allows. */
  #reserve(size: number): void {
    if (size > this.#space) {
      const available = this.#availableSpace(size);
      this.#space = Math.max(size, Math.min(available, SPACE_STEP));
    }
    this.#space -= size;
  }

  #availableSpace(size: number): number {
    const { path, config } = this.#target;
    const { bavail, bsize, blocks } = statfsSync(path);
    const free = bavail * bsize;
    const reserved =
      'bytes' in config.minFree ? config.minFree.bytes : blocks * bsize * config.minFree.part;
    const available = free - reserved;
    if (size > available) {
      const usable = Math.max(0, Math.floor(available));
      throw new OstrataError(
        'IO',
        `no space: an object of ${size} bytes, ${usable} bytes may be used of ${free} free ` +
          `(min-free-space of ${path})`,
      );
    }
    return available;
  }
}

/**
 * One content object of a stage. Its checksum is given at the start or, if not known, at the end.
 */
class StagedObjectWriter implements ContentWriter, NewContentSink {
  readonly #content: ContentWriter;
  readonly #context: string;
  readonly #onFinish: (checksum: string) => void;
  readonly #checksum: string | undefined;
  #isOpen = true;

  /**
   * @param context the beginning of errors
   * @param onFinish called when the file is closed
   */
  constructor(
    content: ContentWriter,
    context: string,
    onFinish: (checksum: string) => void,
    checksum?: string,
  ) {
    this.#content = content;
    this.#context = context;
    this.#onFinish = onFinish;
    this.#checksum = checksum;
  }

  write(bytes: Uint8Array): void {
    inContext(this.#context, () => this.#content.write(bytes));
  }

  finish(checksum = this.#checksum): void {
    const known = must(checksum, 'the checksum of a finished object');
    this.#isOpen = false;
    inContext(this.#context, () => {
      this.#content.finish();
      this.#onFinish(known);
    });
  }

  abandon(): void {
    if (this.#isOpen) {
      this.#isOpen = false;
      this.#content.abandon();
    }
  }
}

/** Whether the repository itself, not its parent, has the object `name`. */
export function hasObject(repoPath: string, name: string): boolean {
  const path = join(repoPath, 'objects', pathOfName(name));
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Objects in a directory. The file of each is named by {@link encodeObjectName}. */
export interface StagedObjects {
  readonly directory: string;
  readonly names: Iterable<string>;
}

/**
 * Makes staged objects, which are on the disk, part of the repository. An object that is there
 * already stays, because deployments are linked to it; only commitmeta is replaced.
 */
export function publishObjects(repoPath: string, { directory, names }: StagedObjects): void {
  const objects = join(repoPath, 'objects');
  const folders = new Set<string>();
  for (const name of names) {
    const { checksum, kind } = parseObjectName(name, OBJECT_KINDS);
    const path = objectPath(checksum, kind);
    const folder = dirname(path);
    if (!folders.has(folder)) {
      mkdirSync(join(objects, folder), { recursive: true });
      folders.add(folder);
    }

    if (kind !== 'commitmeta' && hasObject(repoPath, name)) {
      unlinkSync(join(directory, name));
    } else {
      inContext('publishing', () => renameSync(join(directory, name), join(objects, path)));
    }
  }
}

/** Links the object file `source` into the repository. Returns false if it cannot be linked. */
export function linkObject(source: string, repoPath: string, name: string): boolean {
  const path = join(repoPath, 'objects', pathOfName(name));
  try {
    mkdirSync(dirname(path), { recursive: true });
    linkSync(source, path);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EEXIST';
  }
}

function pathOfName(name: string): string {
  const { checksum, kind } = parseObjectName(name, OBJECT_KINDS);
  return objectPath(checksum, kind);
}

/**
 * Waits until all that was written to the file system of `directory` is on the disk: one call of
 * syncfs(2) instead of one fsync(2) for each of many files. Falls back to fsync(2) of `directory`
 * and of each of `paths` in it.
 * @param fd on that file system, opened before the first write, so that a failed write is reported
 *   to this process even if it was reported to another one before (errseq_t in fs/sync.c of Linux)
 */
export function syncFileSystem(fd: number, directory: string, paths: () => Iterable<string>): void {
  const libc = libcIfInstalled();
  if (libc === undefined) {
    for (const path of [...paths(), '.']) {
      syncPath(join(directory, path));
    }
  } else if (libc.syncFileSystem(fd) < 0) {
    throw new OstrataError('IO', `syncing ${directory}: ${getSystemErrorName(-libc.errno())}`);
  }
}

/** Waits until a file or directory is on the disk: fsync(2). */
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
