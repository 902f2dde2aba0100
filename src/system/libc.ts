/**
 * System calls that Node has no API for. libc is called through koffi, an optional dependency that is loaded at the
 * first call.
 */
import { createRequire } from 'node:module';
import { OstrataError } from '../errors.js';

/** Every call returns -1 where it fails, and leaves the reason in `errno`. A path holds no NUL, a name ends in one. */
export interface Libc {
  /** llistxattr(2), lgetxattr(2), lsetxattr(2). */
  listXattrs(path: string, list: Uint8Array, size: number): number;
  getXattr(path: string, name: Uint8Array, value: Uint8Array, size: number): number;
  setXattr(path: string, name: Uint8Array, value: Uint8Array, size: number, flags: number): number;
  /** fcntl(2) with a `struct flock`. */
  lock(fd: number, command: number, flock: Uint8Array): number;
  /** syncfs(2). */
  syncFileSystem(fd: number): number;
  errno(): number;
}

/** One is loaded per thread. */
let loaded: Libc | undefined;

/** @param need what koffi is missing for, in the error where it is not installed */
export function libc(need: string): Libc {
  loaded ??= load(need);
  return loaded;
}

/** {@link libc}, or undefined where koffi is not installed. */
export function libcIfThere(): Libc | undefined {
  try {
    return libc('');
  } catch {
    return undefined;
  }
}

function load(need: string): Libc {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const library = koffi.load(null);
    const lock = library.func('int fcntl(int fd, int command, ...)');
    return {
      listXattrs: library.func('intptr_t llistxattr(const char *path, void *list, size_t size)'),
      getXattr: library.func(
        'intptr_t lgetxattr(const char *path, const uint8_t *name, void *value, size_t size)',
      ),
      setXattr: library.func(
        'int lsetxattr(const char *path, const uint8_t *name, const void *value, size_t size, int flags)',
      ),
      lock: (fd, command, flock) => lock(fd, command, 'void *', flock),
      syncFileSystem: library.func('int syncfs(int fd)'),
      errno: () => koffi.errno(),
    };
  } catch (cause) {
    throw new OstrataError(
      'UNSUPPORTED',
      `${need} needs the optional package koffi: npm install koffi`,
      { cause },
    );
  }
}
