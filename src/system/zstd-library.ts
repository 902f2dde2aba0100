/** The C library of zstd that the optional package @cloudpss/zstd contains. */
import { findZstdLibrary, loadKoffi } from './native-addons.js';

export type ZstdLibrary = ReturnType<typeof import('koffi').load>;

/** Returns undefined except on Linux with glibc and with the optional package koffi. */
export function openZstdLibrary(): ZstdLibrary | undefined {
  try {
    const koffi = loadKoffi();
    const file = findZstdLibrary();
    // With "deep" the library calls its own functions. Otherwise it would call those of another
    // version of zstd, which newer Node exports.
    return file === undefined ? undefined : koffi.load(file, { deep: true });
  } catch {
    return undefined;
  }
}
