/** Writing to an ostree repository: objects first, a commit is marked partial until whole, refs last, all by rename. */
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { inContext } from '../../errors.js';
import { FileLock } from '../../system/file-lock.js';
import type { EncodedObject } from '../objects/object-set.js';
import { type OstreeRepo, openRepo } from '../repo.js';
import { writeObjectFile } from './content-writer.js';
import { partialMarker, partialPath } from './partial.js';
import { checkRefName, deleteRef, publishRef } from './refs.js';
import {
  createStagingDirectory,
  hasObject,
  linkObject,
  ObjectStage,
  publishObjects,
  removeStagingDirectories,
  type StagedObjects,
  type StageTarget,
  syncFileSystem,
  syncPath,
} from './stage.js';

export interface OpenWriterOptions {
  /** By default what the repository's config says, which is by default true. */
  readonly fsync?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class RepoWriter {
  readonly repo: OstreeRepo;
  readonly target: StageTarget;
  readonly fsync: boolean;
  readonly #lock: FileLock;
  readonly #staging: string;
  /** See {@link syncFileSystem}. */
  readonly #fd: number;

  private constructor(repo: OstreeRepo, lock: FileLock, fsync: boolean) {
    this.repo = repo;
    this.target = { path: repo.path, config: repo.config };
    this.fsync = fsync;
    this.#lock = lock;
    // What others have staged is then left over from processes that ended.
    this.withExclusiveLock(() => removeStagingDirectories(repo.path));
    this.#staging = createStagingDirectory(repo.path);
    this.#fd = openSync(this.#staging, 'r');
  }

  /** Waits for the repository's lock, which is shared with others that write. */
  static async open(path: string, options: OpenWriterOptions = {}): Promise<RepoWriter> {
    const repo = openRepo(path);
    const lock = await FileLock.acquire(join(path, '.lock'), 'shared', options.signal);
    try {
      return new RepoWriter(repo, lock, options.fsync ?? repo.config.fsync);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Removes what was staged and not published. */
  close(): void {
    closeSync(this.#fd);
    rmSync(this.#staging, { recursive: true, force: true });
    this.#lock.release();
  }

  /** Runs `body` where no other process writes; undefined, and it does not run, where one does. */
  withExclusiveLock<T>(body: () => T): T | undefined {
    if (!this.#lock.tryConvert('exclusive')) {
      return undefined;
    }
    try {
      return body();
    } finally {
      this.#lock.tryConvert('shared');
    }
  }

  /** An empty directory for a stage. */
  createStage(): string {
    return mkdtempSync(join(this.#staging, 'stage-'));
  }

  /**
   * Takes staged objects into the repository, then makes `refs` name their commits, which are whole then whatever they were
   * marked as before, and removes the stages' directories.
   * With fsync each step is on the disk before the next: after a power cut no ref names what is not there, and no object
   * that is there is empty.
   */
  commit(
    stages: readonly StagedObjects[],
    refs: readonly (readonly [ref: string, checksum: string])[] = [],
  ): void {
    for (const [ref] of refs) {
      checkRefName(ref);
    }
    const files = refs.map(([, checksum], i) => {
      const file = join(this.#staging, `ref-${i}`);
      rmSync(file, { force: true });
      writeObjectFile(file, Buffer.from(`${checksum}\n`));
      return file;
    });
    if (this.fsync) {
      this.#sync(stages, files);
    }
    for (const stage of stages) {
      publishObjects(this.repo.path, stage);
    }
    if (this.fsync && stages.length > 0) {
      const objects = join(this.repo.path, 'objects');
      syncFileSystem(this.#fd, objects, () => readdirSync(objects)); // their names: they are on the disk
    }
    for (const [i, [ref, checksum]] of refs.entries()) {
      if (partialMarker(this.repo.path, checksum) !== undefined) {
        this.unmarkPartial(checksum);
      }
      publishRef(this.repo.path, ref, files[i] as string, this.fsync);
    }
    for (const { directory } of stages) {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  #sync(stages: readonly StagedObjects[], files: readonly string[]): void {
    if (stages.length > 0) {
      syncFileSystem(this.#fd, this.#staging, () => pathsBelow(this.#staging));
    } else {
      for (const file of files) {
        syncPath(file);
      }
    }
  }

  /** Stages metadata objects whose checksums are known to be right. */
  stageMetadata(objects: readonly EncodedObject[]): StagedObjects {
    const directory = this.createStage();
    const stage = new ObjectStage(this.target, directory);
    for (const { kind, checksum, bytes } of objects) {
      stage.metadata(kind, checksum, bytes);
    }
    return { directory, names: stage.names };
  }

  /** Takes over an object of a repository of the same mode by a hard link; false where the file systems allow none. */
  link(path: string, name: string): boolean {
    return linkObject(path, this.repo.path, name);
  }

  /** @param name `CHECKSUM.extension` */
  has(name: string): boolean {
    return hasObject(this.repo.path, name);
  }

  setRef(ref: string, checksum: string): void {
    this.commit([], [[ref, checksum]]);
  }

  deleteRef(ref: string): void {
    deleteRef(this.repo.path, ref);
  }

  /**
   * Marks a commit as not whole. libostree looks at the first byte of the mark only (`f`: found so by fsck), so that it
   * can hold a note.
   */
  markPartial(checksum: string, note: string): void {
    const path = partialPath(this.repo.path, checksum);
    inContext(`marking commit ${checksum} as partial`, () => {
      mkdirSync(join(this.repo.path, 'state'), { recursive: true });
      const temporary = join(this.#staging, 'partial');
      writeFileSync(temporary, note, { mode: 0o644 });
      if (this.fsync) {
        syncPath(temporary);
      }
      renameSync(temporary, path);
      if (this.fsync) {
        syncPath(join(this.repo.path, 'state'));
      }
    });
  }

  unmarkPartial(checksum: string): void {
    rmSync(partialPath(this.repo.path, checksum), { force: true });
    if (this.fsync) {
      syncPath(join(this.repo.path, 'state'));
    }
  }
}

/** Files and directories below `directory`, relative to it. */
function* pathsBelow(directory: string): Iterable<string> {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() || entry.isDirectory()) {
      yield relative(directory, join(entry.parentPath, entry.name));
    }
  }
}
