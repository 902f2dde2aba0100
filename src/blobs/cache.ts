/**
 * Layer blobs kept between builds, by what determines their bytes. A directory with an entry for each blob:
 *
 *     KEY/blob        the file
 *     KEY/entry.json  what is known of it ({@link Entry}); its modification time is when it was last used
 *     .KEY.RANDOM/    an entry being made or removed
 *
 * An entry appears and goes by one rename, so that several processes can use one cache and a crash leaves no half of
 * one. A blob that was touched since it was stored is known by its size and modification time; after a reboot, which
 * may have lost what was written before, its digest is computed once.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { wrapError } from '../errors.js';
import type { Logger } from '../log.js';
import type { BlobResult } from './writer.js';

/** Half-made entries of processes that are no more are removed at this age. */
const ABANDONED_MS = 24 * 3600 * 1000;
const READ_SIZE = 1 << 20;
/** Larger ones are not ours. */
const MAX_ENTRY_SIZE = 10_000;

const digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/));
const length = v.pipe(v.number(), v.integer(), v.minValue(0));
const entrySchema = v.object({
  diffId: digest,
  digest,
  size: length,
  tarSize: length,
  /** Of the blob, in nanoseconds. */
  mtime: v.string(),
  /** The boot of the machine in which the blob was last known to be whole. */
  boot: v.string(),
});
type Entry = v.InferOutput<typeof entrySchema>;

export class BlobCache {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #log: Logger;
  readonly #boot = bootId();

  /**
   * @param directory is made if it is not there
   * @param maxBytes what {@link trim} leaves at most
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

  /** Puts the blob of `key` at `target`, a link where possible: not to be written to. Undefined if there is none that is whole. */
  restore(key: string, target: string): BlobResult | undefined {
    try {
      const found = this.#identity(key);
      if (found === undefined) {
        return undefined;
      }
      const entry = this.#read(key);
      if (entry && this.#fetch(key, entry, target)) {
        const { diffId, digest, size, tarSize } = entry;
        return { diffId, digest, size, tarSize };
      }
      // Else another process removed or replaced it meanwhile.
      if (this.#identity(key) === found) {
        this.#log.warn(`layer cache ${this.#directory}: entry ${key} is damaged and is made anew`);
        this.#remove(key);
      }
    } catch (error) {
      this.#log.info(`layer cache ${this.#directory}: ${(error as Error).message}`); // e.g. another process removed it
    }
    rmSync(target, { force: true });
    return undefined;
  }

  /** Keeps the finished blob at `path`. What prevents it is a warning. */
  add(key: string, path: string, blob: BlobResult): void {
    try {
      const staging = mkdtempSync(join(this.#directory, `.${key}.`));
      try {
        linkOrCopy(path, join(staging, 'blob'));
        this.#write(staging, { ...blob, mtime: mtimeOf(join(staging, 'blob')), boot: this.#boot });
        renameSync(staging, join(this.#directory, key));
      } catch (error) {
        rmSync(staging, { recursive: true, force: true });
        if (!isThere(error)) {
          throw error; // another process was faster
        }
      }
    } catch (error) {
      this.#log.warn(`layer cache ${this.#directory}: ${(error as Error).message}`);
    }
  }

  /** Removes what was not used for longest, until the rest is no larger than allowed. */
  trim(): void {
    try {
      const entries = readdirSync(this.#directory).flatMap((name) => this.#usage(name));
      let total = entries.reduce((sum, { size }) => sum + size, 0);
      for (const { name, size } of entries.sort((a, b) => a.used - b.used)) {
        if (total <= this.#maxBytes) {
          return;
        }
        this.#remove(name);
        total -= size;
      }
    } catch (error) {
      this.#log.warn(`layer cache ${this.#directory}: ${(error as Error).message}`);
    }
  }

  /** Which of the entries that may come and go under `key` is there; undefined if none is. */
  #identity(key: string): string | undefined {
    const stat = statSync(join(this.#directory, key), { bigint: true, throwIfNoEntry: false });
    return stat && `${stat.ino} ${stat.birthtimeNs}`; // numbers of inodes are used again
  }

  #read(key: string): Entry | undefined {
    const path = join(this.#directory, key, 'entry.json');
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (size === 0 || size > MAX_ENTRY_SIZE) {
      return undefined;
    }
    const entry = v.safeParse(entrySchema, parseJson(readFileSync(path, 'utf8')));
    return entry.success ? entry.output : undefined;
  }

  #write(directory: string, entry: Entry): void {
    const written = join(directory, `entry.${process.pid}`);
    writeFileSync(written, JSON.stringify(entry));
    renameSync(written, join(directory, 'entry.json')); // others may read it at this moment
  }

  /** Links or copies the blob to `target`; false if it is not as it was stored. */
  #fetch(key: string, entry: Entry, target: string): boolean {
    const directory = join(this.#directory, key);
    const blob = join(directory, 'blob');
    if (!existsSync(blob)) {
      return false;
    }
    linkOrCopy(blob, target);
    if (statSync(target).size !== entry.size || mtimeOf(blob) !== entry.mtime) {
      return false;
    }
    if (entry.boot !== this.#boot || this.#boot === '') {
      if (digestOf(target) !== entry.digest) {
        return false;
      }
      this.#write(directory, { ...entry, boot: this.#boot });
    }
    const now = new Date();
    utimesSync(join(directory, 'entry.json'), now, now);
    return true;
  }

  /** What a name in the directory takes, and when it was last used; nothing for what others are working on. */
  #usage(name: string): { readonly name: string; readonly size: number; readonly used: number }[] {
    const path = join(this.#directory, name);
    if (name.startsWith('.')) {
      const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (age > ABANDONED_MS) {
        rmSync(path, { recursive: true, force: true });
      }
      return [];
    }
    const used = statSync(join(path, 'entry.json'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    return [
      { name, used, size: statSync(join(path, 'blob'), { throwIfNoEntry: false })?.size ?? 0 },
    ];
  }

  #remove(key: string): void {
    const grave = mkdtempSync(join(this.#directory, `.${key}.`));
    try {
      renameSync(join(this.#directory, key), grave); // replaces the empty directory
    } catch {
      // another process removed it
    }
    rmSync(grave, { recursive: true, force: true });
  }
}

/** A hard link, or a copy where the file systems allow none. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw error;
    }
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  }
}

function mtimeOf(path: string): string {
  return String(statSync(path, { bigint: true }).mtimeNs);
}

function isThere(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOTEMPTY' || code === 'EEXIST';
}

function digestOf(path: string): string {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(READ_SIZE);
  const fd = openSync(path, 'r');
  try {
    for (let length = readSync(fd, buffer); length > 0; length = readSync(fd, buffer)) {
      hash.update(buffer.subarray(0, length));
    }
  } finally {
    closeSync(fd);
  }
  return `sha256:${hash.digest('hex')}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Linux: another one after each boot. Empty elsewhere: digests are computed at each use. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
