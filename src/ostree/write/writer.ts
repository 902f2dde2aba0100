/**
 * Writes to an ostree repository: objects first, refs last, all of them by rename. A commit is
 * marked as partial until all of its objects are there.
 */
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
import type { TemporaryDirectory } from '../../system/temporary-directory.js';
import type { EncodedObject } from '../objects/object-set.js';
import { type OstreeRepo, openRepo } from '../repo.js';
import { writeObjectFile } from './content-writer.js';
import { partialMarker, partialPath } from './partial.js';
import { checkRefName, deleteRef, publishRef } from './refs.js';
import {
  hasObject,
  linkObject,
  makeStagingDirectory,
  ObjectStage,
  publishObjects,
  type StagedObjects,
  type StageTarget,
  syncFileSystem,
  syncPath,
} from './stage.js';

interface OpenWriterOptions {
  /**
   * Whether to wait until data is on the disk. By default the `fsync` of the repository's config
   * decides.
   */
  readonly fsync?: boolean | undefined;
  /** Cancels waiting for the lock. */
  readonly signal?: AbortSignal | undefined;
}

/** A ref and the checksum of the commit that it names. */
type RefUpdate = readonly [ref: string, checksum: string];

/** Writes to one repository. Holds its lock, and a staging directory, until it is closed. */
export class RepoWriter {
  readonly repo: OstreeRepo;
  readonly target: StageTarget;
  readonly fsync: boolean;
  readonly #lock: FileLock;
  readonly #staging: TemporaryDirectory;
  /** The staging directory, opened before the first write; see {@link syncFileSystem}. */
  readonly #fd: number;

  private constructor(repo: OstreeRepo, lock: FileLock, fsync: boolean) {
    this.repo = repo;
    this.target = { path: repo.path, config: repo.config };
    this.fsync = fsync;
    this.#lock = lock;

    this.#staging = makeStagingDirectory(repo.path);
    this.#fd = openSync(this.#staging.path, 'r');
  }

  /** Opens the repository at `path`. Waits for its lock, which writers share. */
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

  /** Removes what was staged and not published, and releases the lock. */
  close(): void {
    closeSync(this.#fd);
    this.#staging.remove();
    this.#lock.release();
  }

  /** Runs `body` if no other process is writing; else returns undefined without running it. */
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

  /** Creates an empty directory for a stage. */
  createStage(): string {
    return mkdtempSync(join(this.#staging.path, 'stage-'));
  }

  /**
   * Publishes staged objects, then makes `refs` name their commits, and removes the directories of
   * the stages. A commit that gets a ref is whole from then on, even if it was marked as partial.
   *
   * With fsync each step is on the disk before the next one: after a power cut no ref names a
   * missing object, and no object in the repository is empty.
   */
  commit(stages: readonly StagedObjects[], refs: readonly RefUpdate[] = []): void {
    for (const [ref] of refs) {
      checkRefName(ref);
    }

    const newRefs = refs.map(([ref, checksum], i) => ({
      ref,
      checksum,
      temporary: this.#writeRefFile(`ref-${i}`, checksum),
    }));
    if (this.fsync) {
      this.#syncStaged(
        stages,
        newRefs.map(({ temporary }) => temporary),
      );
    }

    this.#publish(stages);
    for (const { ref, checksum, temporary } of newRefs) {
      if (partialMarker(this.repo.path, checksum) !== undefined) {
        this.unmarkPartial(checksum);
      }
      publishRef(this.repo.path, ref, temporary, this.fsync);
    }

    for (const { directory } of stages) {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  #writeRefFile(name: string, checksum: string): string {
    const path = join(this.#staging.path, name);
    rmSync(path, { force: true });
    writeObjectFile(path, Buffer.from(`${checksum}\n`));
    return path;
  }

  #syncStaged(stages: readonly StagedObjects[], refFiles: readonly string[]): void {
    if (stages.length > 0) {
      syncFileSystem(this.#fd, this.#staging.path, () => pathsBelow(this.#staging.path));
      return;
    }
    for (const file of refFiles) {
      syncPath(file);
    }
  }

  #publish(stages: readonly StagedObjects[]): void {
    for (const stage of stages) {
      publishObjects(this.repo.path, stage);
    }
    // The objects are on the disk by now; their names are not.
    if (this.fsync && stages.length > 0) {
      const objects = join(this.repo.path, 'objects');
      syncFileSystem(this.#fd, objects, () => readdirSync(objects));
    }
  }

  /** Stages metadata objects. The caller has verified their checksums. */
  stageMetadata(objects: readonly EncodedObject[]): StagedObjects {
    const directory = this.createStage();
    const stage = new ObjectStage(this.target, directory);
    for (const { kind, checksum, bytes } of objects) {
      stage.metadata(kind, checksum, bytes);
    }
    return { directory, names: stage.names };
  }

  /**
   * Adds the object `name` as a hard link to `path`, its file in a repository of the same mode.
   * Returns false if the file system does not allow the link.
   */
  link(path: string, name: string): boolean {
    return linkObject(path, this.repo.path, name);
  }

  /** Whether the repository itself has the object `name`. */
  has(name: string): boolean {
    return hasObject(this.repo.path, name);
  }

  /** Makes `ref` name the commit `checksum`. */
  setRef(ref: string, checksum: string): void {
    this.commit([], [[ref, checksum]]);
  }

  /** Removes `ref` if it exists. */
  deleteRef(ref: string): void {
    deleteRef(this.repo.path, ref);
  }

  /** Marks a commit as partial. `note` is kept in the mark, see partial.ts. */
  markPartial(checksum: string, note: string): void {
    inContext(`marking commit ${checksum} as partial`, () => {
      const state = join(this.repo.path, 'state');
      mkdirSync(state, { recursive: true });
      const temporary = join(this.#staging.path, 'partial');
      writeFileSync(temporary, note, { mode: 0o644 });
      if (this.fsync) {
        syncPath(temporary);
      }

      renameSync(temporary, partialPath(this.repo.path, checksum));
      if (this.fsync) {
        syncPath(state);
      }
    });
  }

  /** Removes the mark of a partial commit. */
  unmarkPartial(checksum: string): void {
    rmSync(partialPath(this.repo.path, checksum), { force: true });
    if (this.fsync) {
      syncPath(join(this.repo.path, 'state'));
    }
  }
}

/** The files and directories below `directory`, as paths relative to it. */
function* pathsBelow(directory: string): Iterable<string> {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() || entry.isDirectory()) {
      yield relative(directory, join(entry.parentPath, entry.name));
    }
  }
}
