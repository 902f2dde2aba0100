/** The C library of zstd that the optional package @cloudpss/zstd contains. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { loadKoffi } from './koffi.js';

export type ZstdLibrary = ReturnType<typeof import('koffi').load>;

/** Returns undefined except on Linux with glibc and with the optional package koffi. */
export function openZstdLibrary(): ZstdLibrary | undefined {
  try {
    const require = createRequire(import.meta.url);
    const koffi = loadKoffi();
    const manifest = require.resolve('@cloudpss/zstd/package.json');
    const nodeGypBuild: { path(directory: string): string } =
      createRequire(manifest)('node-gyp-build');
    const file = nodeGypBuild.path(dirname(manifest));
    if (!file.includes('glibc')) {
      return undefined;
    }
    // With "deep" the library calls its own functions. Otherwise it would call those of another
    // version of zstd, which newer Node exports.
    return koffi.load(file, { deep: true });
  } catch {
    return undefined;
  }
}
