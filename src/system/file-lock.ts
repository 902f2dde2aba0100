/**
 * Open file description locks (fcntl(2)) on a whole file; they end with the process. That of a repository is on its file
 * `.lock`, as libostree takes it (ostree_repo_lock_push): shared while objects and refs are written, exclusive to prune.
 */
import { closeSync, openSync } from 'node:fs';
import { constants, endianness } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { inContext, OstrataError } from '../errors.js';
import { type Libc, libcIfThere } from './libc.js';

export type LockType = 'shared' | 'exclusive';

/** F_OFD_SETLK, F_RDLCK and F_WRLCK of Linux. */
const SET_OFD_LOCK = 37;
const LOCK_TYPES = { shared: 0, exclusive: 1 } as const;
/** `struct flock` on 64-bit Linux: short type, short whence, off_t start, off_t length, pid_t pid. All 0: the whole file. */
const FLOCK_SIZE = 32;
const POLL_MS = 100;
/** As long as libostree waits by default (lock-timeout-secs). */
const TIMEOUT_MS = 300_000;

export class FileLock {
  readonly #fd: number;
  readonly #libc: Libc | undefined;
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
    this.#libc = libcIfThere();
    this.#fd = inContext('locking', () => openSync(this.#path, 'a+', 0o644));
  }

  /** Waits for the lock; the file is made if it is not there. Without koffi there is none, and nothing keeps others out. */
  static async acquire(path: string, type: LockType, signal?: AbortSignal): Promise<FileLock> {
    const lock = new FileLock(path);
    try {
      const deadline = Date.now() + TIMEOUT_MS;
      while (!lock.tryConvert(type) && lock.#libc !== undefined) {
        if (Date.now() > deadline) {
          throw new OstrataError('IO', `locking ${path}: in use for ${TIMEOUT_MS / 1000} s`);
        }
        await sleep(POLL_MS, undefined, signal && { signal });
      }
      return lock;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Takes the lock, or changes its type, without waiting; false where another holds it. Without koffi only `shared` is. */
  tryConvert(type: LockType): boolean {
    if (this.#libc === undefined) {
      return type === 'shared';
    }
    const flock = Buffer.alloc(FLOCK_SIZE);
    if (endianness() === 'LE') {
      flock.writeInt16LE(LOCK_TYPES[type], 0);
    } else {
      flock.writeInt16BE(LOCK_TYPES[type], 0);
    }
    if (this.#libc.lock(this.#fd, SET_OFD_LOCK, flock) === 0) {
      return true;
    }
    const errno = this.#libc.errno();
    if (errno === constants.errno.EAGAIN || errno === constants.errno.EACCES) {
      return false;
    }
    throw new OstrataError('IO', `locking ${this.#path}: ${getSystemErrorName(-errno)}`);
  }

  release(): void {
    closeSync(this.#fd);
  }
}
