/**
 * Private temporary directories, removed at the latest when the process ends.
 *
 * A process that is killed cannot remove its directories. The next one that makes a directory in
 * the same folder does: a lock on a file in each directory tells whether its owner still runs.
 */
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileLock } from './file-lock.js';
import { ownershipFault } from './ownership.js';

export interface TemporaryDirectory {
  readonly path: string;
  /** Removes the directory and everything in it. May be called any number of times. */
  remove(): void;
}

/** The beginning of the names of directories that another process may remove. */
const NAME = /^\.?ostrata-/;
/** The file that the owner of a directory keeps locked. */
const LOCK_FILE = '.ostrata-lock';
/** Its name until it is locked, which is impossible without koffi and on some file systems. */
const UNLOCKED_FILE = '.ostrata-unlocked';
/** Nobody builds for so long: an unlocked directory of this age is abandoned. */
const ABANDONED_MS = 7 * 24 * 3600 * 1000;
/** Programs that have just ended may leave helpers behind (gpg-agent) that still remove files. */
const REMOVE_OPTIONS = { recursive: true, force: true, maxRetries: 3 } as const;

/** Directories that still exist, with their locks: an exiting process removes them. */
const existing = new Map<string, FileLock | undefined>();

let onExistence: (isAny: boolean) => void = () => {};

/**
 * Calls `listener` with true when the first directory is made and with false when the last one is
 * removed: in between, a program that ends has to clean up.
 */
export function watchTemporaryDirectories(listener: (isAny: boolean) => void): void {
  onExistence = listener;
}

/**
 * Makes an empty directory that only this user can access. Directories in `parent` whose process
 * was killed are removed. A file whose name begins with `.ostrata-` marks the new directory.
 * @param prefix begins the directory's name; has to begin with `ostrata-` or `.ostrata-`
 * @param parent by default the system's directory for temporary files
 */
export function makeTemporaryDirectory(prefix: string, parent = tmpdir()): TemporaryDirectory {
  removeAbandoned(parent);
  const path = mkdtempSync(join(parent, prefix));
  if (existing.size === 0) {
    process.once('exit', removeExisting);
    onExistence(true);
  }
  existing.set(path, markInUse(path));
  return { path, remove: () => remove(path) };
}

function remove(path: string): void {
  if (!existing.has(path)) {
    return;
  }
  try {
    rmSync(path, REMOVE_OPTIONS);
  } catch {
    return; // It is tried again when this process ends, and by the next one.
  }
  existing.get(path)?.release();
  existing.delete(path);
  if (existing.size === 0) {
    process.off('exit', removeExisting);
    onExistence(false);
  }
}

function removeExisting(): void {
  for (const path of existing.keys()) {
    remove(path);
  }
}

/** Marks a new directory, so that others can tell whether its process still runs. */
function markInUse(path: string): FileLock | undefined {
  const file = join(path, UNLOCKED_FILE);
  try {
    const lock = FileLock.tryAcquire(file);
    if (lock !== undefined) {
      renameSync(file, join(path, LOCK_FILE));
    }
    return lock;
  } catch {
    return undefined; // On a full disk, for example. Without a mark, nobody else removes it.
  }
}

function removeAbandoned(parent: string): void {
  for (const path of directoriesIn(parent)) {
    try {
      if (ownershipFault(path) === undefined && isAbandoned(path)) {
        rmSync(path, REMOVE_OPTIONS);
      }
    } catch {
      // Another process removes it, or a file in it cannot be removed.
    }
  }
}

function directoriesIn(parent: string): readonly string[] {
  try {
    return readdirSync(parent)
      .filter((name) => NAME.test(name))
      .map((name) => join(parent, name));
  } catch {
    return []; // A folder may be writable and not readable.
  }
}

function isAbandoned(path: string): boolean {
  const lockFile = join(path, LOCK_FILE);
  if (existsSync(lockFile)) {
    const lock = FileLock.tryAcquire(lockFile);
    lock?.release();
    return lock !== undefined;
  }
  const unlocked = statSync(join(path, UNLOCKED_FILE), { throwIfNoEntry: false });
  return unlocked !== undefined && Date.now() - unlocked.mtimeMs > ABANDONED_MS;
}

/** Runs `body` with the path of a new temporary directory, which is removed when `body` ends. */
export async function withTemporaryDirectory<T>(
  prefix: string,
  body: (path: string) => Promise<T>,
): Promise<T> {
  const directory = makeTemporaryDirectory(prefix);
  try {
    return await body(directory.path);
  } finally {
    directory.remove();
  }
}

/**
 * Returns the parent for temporary files as large as a layer. On many systems /tmp is in memory, so
 * that other container tools use /var/tmp as well; the variable TMPDIR has precedence.
 */
export function largeFilesParent(): string {
  const { TMPDIR } = process.env;
  if (TMPDIR) {
    return TMPDIR;
  }
  return process.platform === 'win32' ? tmpdir() : '/var/tmp';
}
