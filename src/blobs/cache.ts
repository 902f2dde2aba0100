/**
 * A cache of layer blobs that builds and processes share.
 *
 * The *blob key* determines the bytes of a blob. An *entry* is a directory named by the key:
 *
 *     KEY/blob             the blob
 *     KEY/entry.json       its digests and sizes (cache-entry.ts); modified at the time of last use
 *     .ostrata-RANDOM/KEY  an entry that some process is adding or removing
 *
 * Adding. The blob is linked or copied into `.ostrata-RANDOM/KEY`, entry.json is written beside it,
 * and the directory is moved to KEY. If another process was faster, its entry stays.
 *
 * Restoring. The blob is linked or copied to the target, and the target is hashed: it must have the
 * digest that the blob was added with. A damaged entry is removed.
 *
 * Other users. Whoever can write an entry decides what the next image contains. A cache folder that
 * another user owns or can write is not used at all. A folder that nobody else can write now may
 * hold entries from a time when others could. So an entry is ignored too if another user owns or
 * can write its directory, blob or entry.json. Root is trusted, but its blobs are copied, because a
 * hard link would put a file of another owner into the image.
 *
 * Trimming. The entries that were not used for longest are moved to `.ostrata-RANDOM/KEY` and
 * removed, until the others are within the limit. A directory `.ostrata-RANDOM` that a killed
 * process left behind is removed by the next process that makes one (temporary-directory.ts).
 *
 * Crash safety. An entry appears and disappears by a single rename: nobody sees half of one, and
 * any number of processes may do all of this at the same time without a lock.
 */
import {
  constants,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoOf, wrapError } from '../errors.js';
import type { Logger } from '../log.js';
import { fileDigest } from '../system/file-chunks.js';
import { makeDirectories } from '../system/make-directories.js';
import { isOwn, ownershipFault } from '../system/ownership.js';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../system/temporary-directory.js';
import { ENTRY_FILES, holdsOnlyEntryFiles, readEntry } from './cache-entry.js';
import type { BlobResult } from './writer.js';

/** Mode of entry.json. No umask makes it writable by others. */
const ENTRY_MODE = 0o644;

/** What trimming needs to know of an entry. */
interface Usage {
  readonly key: string;
  /** Bytes of the blob. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly lastUse: number;
}

export class BlobCache {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #log: Logger;
  /** Whether no other user can write the folder. */
  readonly #isTrusted: boolean;
  #hasWarnedOfEntry = false;

  /**
   * Throws if the directory can neither be found nor made. One that another user owns or can write
   * is not used, with a warning: nothing is restored or added.
   * @param directory is made with its parents if it does not exist
   * @param maxBytes the size of all blobs after {@link trim}
   */
  constructor(directory: string, maxBytes: number, log: Logger) {
    try {
      makeDirectories(directory, 0o700);
    } catch (error) {
      throw wrapError(`layer cache ${directory}`, error);
    }
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#log = log;

    const fault = ownershipFault(directory, { followSymlink: true });
    this.#isTrusted = fault === undefined;
    if (fault !== undefined) {
      log.warn(
        `${this.#name} is not used: its folder ${fault}; change that or name another folder`,
      );
    }
  }

  /**
   * Puts the blob of `key` at `target`, which may be a hard link and must not be written to.
   * Returns undefined if there is no intact blob; the reason for a failure is logged.
   */
  restore(key: string, target: string): BlobResult | undefined {
    if (!this.#isTrusted) {
      return undefined;
    }
    try {
      const incarnation = this.#incarnation(key);
      if (incarnation === undefined) {
        return undefined;
      }
      const fault = this.#entryFault(key);
      if (fault !== undefined) {
        this.#warnOfEntry(fault);
        return undefined;
      }
      const entry = readEntry(join(this.#directory, key));
      if (entry !== undefined && this.#restoreBlob(key, entry, target)) {
        return entry;
      }
      // A different entry by now means that another process removed or replaced the one read here.
      if (this.#incarnation(key) === incarnation) {
        this.#log.warn(`${this.#name}: entry ${key} is damaged and is removed`);
        this.#remove(key);
      }
    } catch (error) {
      // For example, another process removed the entry.
      this.#log.info(wrapError(this.#name, error).message);
    }
    rmSync(target, { force: true });
    return undefined;
  }

  /** Adds the finished blob at `path`. A failure is only a warning. */
  add(key: string, path: string, blob: BlobResult): void {
    if (!this.#isTrusted) {
      return;
    }
    try {
      const staging = this.#makeStaging();
      try {
        const entry = join(staging.path, key);
        mkdirSync(entry, { mode: 0o700 });
        linkOrCopy(path, join(entry, 'blob'));
        writeFileSync(join(entry, 'entry.json'), JSON.stringify(blob), { mode: ENTRY_MODE });
        this.#removeIfReplaceable(key);
        renameSync(entry, join(this.#directory, key));
      } catch (error) {
        if (!isNameTaken(error)) {
          throw error;
        }
        // Another process added the same blob.
      } finally {
        staging.remove();
      }
    } catch (error) {
      this.#log.warn(wrapError(this.#name, error).message);
    }
  }

  /** Removes the entries that were not used for longest, until the others are within the limit. */
  trim(): void {
    if (!this.#isTrusted) {
      return;
    }
    try {
      const usages: Usage[] = [];
      for (const name of readdirSync(this.#directory)) {
        // Another user who owns the directory could replace it by a symlink while files in it are
        // removed.
        const path = join(this.#directory, name);
        const isEntry = !name.startsWith('.') && holdsOnlyEntryFiles(path);
        if (isEntry && ownershipFault(path) === undefined) {
          usages.push(this.#usageOf(name));
        }
      }

      let total = usages.reduce((sum, { size }) => sum + size, 0);
      const withBlob = usages.filter(({ size }) => size > 0);
      for (const { key, size } of withBlob.sort((a, b) => a.lastUse - b.lastUse)) {
        if (total <= this.#maxBytes) {
          return;
        }
        this.#remove(key);
        total -= size;
      }
    } catch (error) {
      this.#log.warn(wrapError(this.#name, error).message);
    }
  }

  /**
   * Calls `body` with a path in the cache's folder, where it may make a file that is removed
   * afterwards. A failure is only a warning.
   */
  withScratchFile<T>(body: (path: string) => T): T | undefined {
    if (!this.#isTrusted) {
      return undefined;
    }
    try {
      const staging = this.#makeStaging();
      try {
        return body(join(staging.path, 'file'));
      } finally {
        staging.remove();
      }
    } catch (error) {
      this.#log.warn(wrapError(this.#name, error).message);
      return undefined;
    }
  }

  /** For messages. */
  get #name(): string {
    return `layer cache ${this.#directory}`;
  }

  /** Returns which part of an entry another user could have changed; undefined if none. */
  #entryFault(key: string): string | undefined {
    for (const part of ['', ...ENTRY_FILES]) {
      const path = join(key, part);
      const fault = ownershipFault(join(this.#directory, path));
      if (fault !== undefined) {
        return `${path} ${fault}`;
      }
    }
    return undefined;
  }

  /**
   * Removes an entry that is ignored because of one of its files. If it is ignored because of its
   * directory it stays, since another user could interfere with the removal.
   */
  #removeIfReplaceable(key: string): void {
    const isOurs = ownershipFault(join(this.#directory, key)) === undefined;
    if (isOurs && this.#entryFault(key) !== undefined) {
      this.#remove(key);
    }
  }

  /** Warns once: a folder that was open to other users may have many such entries. */
  #warnOfEntry(fault: string): void {
    const message = `${this.#name}: ${fault}; such entries are ignored`;
    if (this.#hasWarnedOfEntry) {
      this.#log.info(message);
    } else {
      this.#log.warn(message);
    }
    this.#hasWarnedOfEntry = true;
  }

  /**
   * Returns a text that differs from entry to entry of the same key, to notice a replacement;
   * undefined if there is no entry.
   */
  #incarnation(key: string): string | undefined {
    const stat = statSync(join(this.#directory, key), { bigint: true, throwIfNoEntry: false });
    // The inode number alone is not enough, since file systems use it again.
    return stat && `${stat.ino} ${stat.birthtimeNs}`;
  }

  /**
   * Links or copies the blob to `target`. Returns false if the blob is no longer what was added.
   */
  #restoreBlob(key: string, entry: BlobResult, target: string): boolean {
    const directory = join(this.#directory, key);
    const blob = join(directory, 'blob');
    const stats = statSync(blob, { throwIfNoEntry: false });
    if (stats?.size !== entry.size) {
      return false;
    }

    if (isOwn(stats)) {
      linkOrCopy(blob, target);
    } else {
      copyFileSync(blob, target, constants.COPYFILE_FICLONE);
    }
    if (fileDigest(target) !== entry.digest) {
      return false;
    }

    if (isOwn(stats)) {
      const now = new Date();
      utimesSync(join(directory, 'entry.json'), now, now);
    }
    return true;
  }

  #usageOf(key: string): Usage {
    const directory = join(this.#directory, key);
    const size = statSync(join(directory, 'blob'), { throwIfNoEntry: false })?.size ?? 0;
    const lastUse = statSync(join(directory, 'entry.json'), { throwIfNoEntry: false })?.mtimeMs;
    return { key, size, lastUse: lastUse ?? 0 };
  }

  #makeStaging(): TemporaryDirectory {
    return makeTemporaryDirectory('.ostrata-', this.#directory);
  }

  #remove(key: string): void {
    const staging = this.#makeStaging();
    try {
      renameSync(join(this.#directory, key), join(staging.path, key));
    } catch {
      // Another process removed the entry.
    }
    staging.remove();
  }
}

/** Copies if a hard link is not possible, for example across file systems. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      throw error;
    }
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  }
}

/** Whether a directory could not be renamed because the new name belongs to another one. */
function isNameTaken(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOTEMPTY' || errno === 'EEXIST';
}
