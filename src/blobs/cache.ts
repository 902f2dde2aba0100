/**
 * A cache of layer blobs that builds and processes share.
 *
 * The *blob key* determines the bytes of a blob. An *entry* is a directory named by the key:
 *
 *     KEY/blob        the blob
 *     KEY/entry.json  its digests and sizes (`entrySchema`); its mtime is the time of the last use
 *     .KEY.RANDOM/    an entry that some process is adding or removing
 *
 * Adding. The blob is linked or copied into `.KEY.RANDOM`, entry.json is written beside it, and the
 * directory is renamed to KEY. If another process was faster, its entry stays.
 *
 * Restoring. The blob is linked or copied to the target, and checked: it must have the size and the
 * mtime that it was added with. A reboot may have lost what was written before it, so that the
 * first use after a reboot also computes the digest. A damaged entry is removed.
 *
 * Trimming. The entries that were not used for longest are renamed to `.KEY.RANDOM` and removed,
 * until the others are within the limit. Directories of that name that a crashed process left
 * behind are removed after a day.
 *
 * Crash safety. An entry appears and disappears by a single rename: nobody sees half of one, and
 * any number of processes may do all of this at the same time without a lock.
 */
import { createHash } from 'node:crypto';
import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseJson } from '../bytes/json.js';
import { errnoOf, wrapError } from '../errors.js';
import type { Logger } from '../log.js';
import { readChunks } from '../system/file-chunks.js';
import type { BlobResult } from './writer.js';

/** Age at which a directory that is being added or removed was left behind by a process. */
const ABANDONED_MS = 24 * 3600 * 1000;
/** Larger files are not written by this class. */
const MAX_ENTRY_JSON_SIZE = 10_000;

const digestSchema = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/));
const sizeSchema = v.pipe(v.number(), v.integer(), v.minValue(0));
const entrySchema = v.object({
  diffId: digestSchema,
  digest: digestSchema,
  size: sizeSchema,
  tarSize: sizeSchema,
  /** Modification time of the blob, in nanoseconds. */
  mtime: v.string(),
  /** The boot of the machine in which the blob was last known to be intact. */
  boot: v.string(),
});
type Entry = v.InferOutput<typeof entrySchema>;

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
  readonly #boot = bootId();

  /**
   * Throws if the directory can neither be found nor made.
   * @param directory is made with its parents if it does not exist
   * @param maxBytes the size of all blobs after {@link trim}
   */
  constructor(directory: string, maxBytes: number, log: Logger) {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw wrapError(`layer cache ${directory}`, error);
    }
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#log = log;
  }

  /**
   * Puts the blob of `key` at `target`, which may be a hard link and must not be written to.
   * Returns undefined if there is no intact blob; the reason for a failure is logged.
   */
  restore(key: string, target: string): BlobResult | undefined {
    try {
      const incarnation = this.#incarnation(key);
      if (incarnation === undefined) {
        return undefined;
      }
      const entry = this.#readEntry(key);
      if (entry !== undefined && this.#restoreBlob(key, entry, target)) {
        const { diffId, digest, size, tarSize } = entry;
        return { diffId, digest, size, tarSize };
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
    try {
      const staging = this.#makeTemporary(key);
      try {
        const stagedBlob = join(staging, 'blob');
        linkOrCopy(path, stagedBlob);
        writeEntry(staging, { ...blob, mtime: mtimeOf(stagedBlob), boot: this.#boot });
        renameSync(staging, join(this.#directory, key));
      } catch (error) {
        rmSync(staging, { recursive: true, force: true });
        if (!isNameTaken(error)) {
          throw error;
        }
        // Another process added the same blob.
      }
    } catch (error) {
      this.#log.warn(wrapError(this.#name, error).message);
    }
  }

  /** Removes the entries that were not used for longest, until the others are within the limit. */
  trim(): void {
    try {
      const usages: Usage[] = [];
      for (const name of readdirSync(this.#directory)) {
        if (name.startsWith('.')) {
          this.#removeIfAbandoned(name);
        } else {
          usages.push(this.#usageOf(name));
        }
      }

      let total = usages.reduce((sum, { size }) => sum + size, 0);
      for (const { key, size } of usages.sort((a, b) => a.lastUse - b.lastUse)) {
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

  /** For messages. */
  get #name(): string {
    return `layer cache ${this.#directory}`;
  }

  /** Returns what tells the current entry of `key` from those before and after it. */
  #incarnation(key: string): string | undefined {
    const stat = statSync(join(this.#directory, key), { bigint: true, throwIfNoEntry: false });
    // Inode numbers alone are used again.
    return stat && `${stat.ino} ${stat.birthtimeNs}`;
  }

  /** Returns undefined if entry.json is missing or damaged. */
  #readEntry(key: string): Entry | undefined {
    const path = join(this.#directory, key, 'entry.json');
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (size === 0 || size > MAX_ENTRY_JSON_SIZE) {
      return undefined;
    }
    const text = readFileSync(path, 'utf8');
    try {
      return parseJson(text, entrySchema);
    } catch {
      return undefined;
    }
  }

  /** Links or copies the blob to `target`; returns false if it is not as it was added. */
  #restoreBlob(key: string, entry: Entry, target: string): boolean {
    const directory = join(this.#directory, key);
    const blob = join(directory, 'blob');
    if (!existsSync(blob)) {
      return false;
    }
    linkOrCopy(blob, target);
    if (statSync(target).size !== entry.size || mtimeOf(blob) !== entry.mtime) {
      return false;
    }

    const isKnownIntact = entry.boot === this.#boot && this.#boot !== '';
    if (!isKnownIntact) {
      if (digestOf(target) !== entry.digest) {
        return false;
      }
      writeEntry(directory, { ...entry, boot: this.#boot });
    }
    const now = new Date();
    utimesSync(join(directory, 'entry.json'), now, now);
    return true;
  }

  #usageOf(key: string): Usage {
    const directory = join(this.#directory, key);
    const size = statSync(join(directory, 'blob'), { throwIfNoEntry: false })?.size ?? 0;
    const lastUse = statSync(join(directory, 'entry.json'), { throwIfNoEntry: false })?.mtimeMs;
    return { key, size, lastUse: lastUse ?? 0 };
  }

  #removeIfAbandoned(name: string): void {
    const path = join(this.#directory, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > ABANDONED_MS) {
      rmSync(path, { recursive: true, force: true });
    }
  }

  #makeTemporary(key: string): string {
    return mkdtempSync(join(this.#directory, `.${key}.`));
  }

  #remove(key: string): void {
    const removed = this.#makeTemporary(key);
    try {
      renameSync(join(this.#directory, key), removed); // replaces the empty directory
    } catch {
      // Another process removed the entry.
    }
    rmSync(removed, { recursive: true, force: true });
  }
}

/** By a rename: other processes may be reading the entry. */
function writeEntry(directory: string, entry: Entry): void {
  const written = join(directory, `entry.${process.pid}`);
  writeFileSync(written, JSON.stringify(entry));
  renameSync(written, join(directory, 'entry.json'));
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

function mtimeOf(path: string): string {
  return String(statSync(path, { bigint: true }).mtimeNs);
}

/** Whether a directory could not be renamed because the new name belongs to another one. */
function isNameTaken(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOTEMPTY' || errno === 'EEXIST';
}

function digestOf(path: string): string {
  const hash = createHash('sha256');
  for (const chunk of readChunks(path, { followSymlink: true })) {
    hash.update(chunk);
  }
  return `sha256:${hash.digest('hex')}`;
}

/** On Linux each boot has its own id. Elsewhere it is empty: digests are computed at each use. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
