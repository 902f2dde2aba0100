/**
 * Locks on whole files that end with the process: open file description locks, fcntl(2). The lock
 * of an ostree repository is on its file `.lock`, as libostree takes it (ostree_repo_lock_push):
 * shared while objects and refs are written, exclusive while they are pruned.
 */
import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { constants, endianness } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { inContext, OstrataError } from '../errors.js';
import { type Libc, libcIfInstalled } from './libc.js';

export type LockType = 'shared' | 'exclusive';

/** F_OFD_SETLK of Linux. */
const SET_OFD_LOCK = 37;
/** F_RDLCK and F_WRLCK of Linux. */
const LOCK_TYPES = { shared: 0, exclusive: 1 } as const;
/**
 * Size of `struct flock` on 64-bit Linux: short type, short whence, off_t start, off_t length,
 * pid_t pid. All members but the type stay 0, which stands for the whole file.
 */
const FLOCK_SIZE = 32;
const POLL_MS = 100;
/** The time that libostree waits by default (lock-timeout-secs). */
const TIMEOUT_MS = 300_000;

/**
 * A lock on a file. Without koffi locking is impossible: shared locks then seem to succeed and
 * exclude nobody.
 */
export class FileLock {
  readonly #fd: number;
  readonly #libc: Libc | undefined;
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
    this.#libc = libcIfInstalled();
    this.#fd = inContext('locking', () => openSync(this.#path, 'a+', 0o644));
  }

  /**
   * Waits for the lock; throws `IO` after five minutes. The file is created if it does not exist.
   * Without koffi this returns at once.
   */
  static async acquire(path: string, type: LockType, signal?: AbortSignal): Promise<FileLock> {
    const lock = new FileLock(path);
    try {
      const deadline = Date.now() + TIMEOUT_MS;
      while (!lock.tryConvert(type) && lock.#libc !== undefined) {
        if (Date.now() > deadline) {
          throw new OstrataError('IO', `locking ${path}: in use for ${TIMEOUT_MS / 1000} s`);
        }
        await sleep(POLL_MS, undefined, { signal });
      }
      return lock;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /**
   * Takes the exclusive lock, without waiting. Returns undefined if another process has the file
   * locked, if koffi is not installed, or if the file system has no locks. The file is created if
   * it does not exist.
   */
  static tryAcquire(path: string): FileLock | undefined {
    const lock = new FileLock(path);
    try {
      if (lock.tryConvert('exclusive')) {
        return lock;
      }
    } catch {
      // The file system has no locks.
    }
    lock.release();
    return undefined;
  }

  /**
   * Takes the lock, or changes its type, without waiting. Returns false if another process prevents
   * that. Without koffi it returns true for a shared lock only.
   */
  tryConvert(type: LockType): boolean {
    if (this.#libc === undefined) {
      return type === 'shared';
    }
    if (this.#libc.lock(this.#fd, SET_OFD_LOCK, encodeFlock(type)) === 0) {
      return true;
    }

    const errno = this.#libc.errno();
    if (errno === constants.errno.EAGAIN || errno === constants.errno.EACCES) {
      return false;
    }
    throw new OstrataError('IO', `locking ${this.#path}: ${getSystemErrorName(-errno)}`);
  }

  /** Whether the lock excludes other processes; without koffi it does not. */
  get isEffective(): boolean {
    return this.#libc !== undefined;
  }

  /** Whether the locked file still has its name, that is, others who lock it get the same file. */
  get isCurrent(): boolean {
    const named = statSync(this.#path, { throwIfNoEntry: false });
    return named?.ino === fstatSync(this.#fd).ino;
  }

  /** Never fails: whatever close(2) reports, the lock is gone. */
  release(): void {
    try {
      closeSync(this.#fd);
    } catch {
      // Nothing was written to the file.
    }
  }
}

/** Returns a `struct flock` for the whole file, in the byte order of this machine. */
function encodeFlock(type: LockType): Uint8Array {
  const flock = Buffer.alloc(FLOCK_SIZE);
  if (endianness() === 'LE') {
    flock.writeInt16LE(LOCK_TYPES[type], 0);
  } else {
    flock.writeInt16BE(LOCK_TYPES[type], 0);
  }
  return flock;
}
