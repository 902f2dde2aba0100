/** System calls that Node has no API for, called in libc through the optional package koffi. */
import { OstrataError } from '../errors.js';
import { howToInstall, loadKoffi } from './native-addons.js';

/**
 * Functions of libc. Each returns -1 if it fails and leaves the reason in `errno`. A path must not
 * contain a NUL; the name of an attribute must end with one.
 */
export interface Libc {
  /** llistxattr(2). */
  listXattrs(path: string, list: Uint8Array, size: number): number;
  /** lgetxattr(2). */
  getXattr(path: string, name: Uint8Array, value: Uint8Array, size: number): number;
  /** lsetxattr(2). */
  setXattr(path: string, name: Uint8Array, value: Uint8Array, size: number, flags: number): number;
  /** fcntl(2) with a `struct flock`. */
  lock(fd: number, command: number, flock: Uint8Array): number;
  /** syncfs(2). */
  syncFileSystem(fd: number): number;
  /** The reason why the last call failed, a positive number. */
  errno(): number;
}

const LIST_XATTRS = 'intptr_t llistxattr(const char *path, void *list, size_t size)';
const GET_XATTR =
  'intptr_t lgetxattr(const char *path, const uint8_t *name, void *value, size_t size)';
const SET_XATTR =
  'int lsetxattr(const char *path, const uint8_t *name, const void *value, size_t size, int flags)';
const FCNTL = 'int fcntl(int fd, int command, ...)';
const SYNCFS = 'int syncfs(int fd)';

/** Declaring functions takes milliseconds, so each thread does it once. */
let loaded: Libc | undefined;

/**
 * Returns libc; throws `UNSUPPORTED` if koffi is not installed.
 * @param purpose what libc is needed for, in a gerund: the beginning of the error message
 */
export function libc(purpose: string): Libc {
  try {
    loaded ??= declareFunctions();
    return loaded;
  } catch (cause) {
    throw new OstrataError(
      'UNSUPPORTED',
      `${purpose} needs the optional package koffi: ${howToInstall('koffi')}`,
      { cause },
    );
  }
}

/** Returns libc, or undefined if koffi is not installed. */
export function libcIfInstalled(): Libc | undefined {
  try {
    return libc('');
  } catch {
    return undefined;
  }
}

function declareFunctions(): Libc {
  const koffi = loadKoffi();
  const library = koffi.load(null);
  const fcntl = library.func(FCNTL);

  return {
    listXattrs: library.func(LIST_XATTRS),
    getXattr: library.func(GET_XATTR),
    setXattr: library.func(SET_XATTR),
    lock: (fd, command, flock) => fcntl(fd, command, 'void *', flock),
    syncFileSystem: library.func(SYNCFS),
    errno: () => koffi.errno(),
  };
}
