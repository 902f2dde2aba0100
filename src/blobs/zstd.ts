/**
 * zstd (RFC 8878) as one pinned package writes it, so that blobs depend on neither Node nor machine: the library in
 * @cloudpss/zstd, natively on Linux with glibc, else as the package's WebAssembly build, which is the same code and
 * gives the same bytes at two thirds of the speed. Node's own zstd changes from version to version.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { OstrataError } from '../errors.js';

/** Part of what a blob is known by; that of the package. */
export const ZSTD_VERSION = '1.5.6';

/** One frame that holds `bytes`, valid until the next call. */
export type CompressFrame = (bytes: Uint8Array, level: number) => Uint8Array;

export async function loadZstd(): Promise<CompressFrame> {
  return loadNativeZstd() ?? (await loadWasmZstd());
}

/** Undefined but on Linux with glibc, or where koffi is not there. */
export function loadNativeZstd(): CompressFrame | undefined {
  let library: ReturnType<typeof import('koffi').load>;
  try {
    const require = createRequire(import.meta.url);
    const koffi = require('koffi') as typeof import('koffi');
    const manifest = require.resolve('@cloudpss/zstd/package.json');
    const { path } = createRequire(manifest)('node-gyp-build') as {
      path(directory: string): string;
    };
    const file = path(dirname(manifest));
    if (!file.includes('glibc')) {
      return undefined;
    }
    // Newer Node exports a zstd of its own, another version: without "deep" the library would call into that.
    library = koffi.load(file, { deep: true });
  } catch {
    return undefined;
  }
  // Not the module's own function: all threads share its state.
  const compress = library.func(
    'size_t ZSTD_compress(void *output, size_t capacity, const void *input, size_t length, int level)',
  );
  const bound = library.func('size_t ZSTD_compressBound(size_t length)');
  let output = Buffer.alloc(0);
  return (bytes, level) => {
    if (output.length < bound(bytes.length)) {
      output = Buffer.allocUnsafeSlow(bound(bytes.length));
    }
    const length = compress(output, output.length, bytes, bytes.length, level);
    // Error codes are negative numbers, as size_t far above any length.
    if (length > output.length) {
      throw new OstrataError('IO', `zstd error ${BigInt.asIntN(64, BigInt(length))}`);
    }
    return output.subarray(0, length);
  };
}

export async function loadWasmZstd(): Promise<CompressFrame> {
  try {
    const { compress } = await import('@cloudpss/zstd/wasm');
    return compress;
  } catch (cause) {
    throw new OstrataError(
      'UNSUPPORTED',
      'writing zstd needs the optional package @cloudpss/zstd: npm install @cloudpss/zstd@0.2.16',
      { cause },
    );
  }
}
