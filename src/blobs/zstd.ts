/**
 * Compresses zstd (RFC 8878) by one pinned package, @cloudpss/zstd. Node's own zstd changes from
 * version to version, and blobs must not depend on the version of Node. On Linux with glibc the
 * package's native library is called, elsewhere its WebAssembly build. Both are the same code and
 * give the same bytes; WebAssembly has two thirds of the speed.
 *
 * Another package can take its place if it is the same version of zstd: a test holds both builds to
 * pinned bytes. One with another version (@bokuweb/zstd-wasm gives other bytes at every level)
 * would change {@link ZSTD_VERSION}, and with it all blobs.
 */
import { OstrataError } from '../errors.js';
import { openZstdLibrary } from '../system/zstd-library.js';

/** Version of zstd in the package; part of the blob key. */
export const ZSTD_VERSION = '1.5.6';

/** Returns one frame that holds `bytes`; it is valid until the next call. */
type CompressFrame = (bytes: Uint8Array, level: number) => Uint8Array;

/** Throws `UNSUPPORTED` if the package is not installed. */
export async function loadZstd(): Promise<CompressFrame> {
  return loadNativeZstd() ?? (await loadWasmZstd());
}

/** Returns undefined except on Linux with glibc and with the optional package koffi. */
export function loadNativeZstd(): CompressFrame | undefined {
  const library = openZstdLibrary();
  if (library === undefined) {
    return undefined;
  }
  // Not the package's own function, which shares its state between all threads.
  const compress = library.func(
    'size_t ZSTD_compress(void *output, size_t capacity, ' +
      'const void *input, size_t length, int level)',
  );
  const maxCompressedSize = library.func('size_t ZSTD_compressBound(size_t length)');

  let output = Buffer.alloc(0);
  return (bytes, level) => {
    const capacity = maxCompressedSize(bytes.length);
    if (output.length < capacity) {
      output = Buffer.allocUnsafeSlow(capacity);
    }
    const length = compress(output, output.length, bytes, bytes.length, level);
    // Error codes are negative numbers, which as size_t are far above any length.
    if (length > output.length) {
      throw new OstrataError('IO', `zstd error ${BigInt.asIntN(64, BigInt(length))}`);
    }
    return output.subarray(0, length);
  };
}

/** Throws `UNSUPPORTED` if the package is not installed. */
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
