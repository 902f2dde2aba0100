/** Old files in memory and tar-diffs made by hand, which need not be good ones. */
import { loadZstd } from '../../src/blobs/zstd.js';
import { OstrataError } from '../../src/errors.js';
import { applyTarDiff, type OldFiles } from '../../src/tar-diff/apply.js';

const compress = await loadZstd();

/** Returns a tar-diff of these operations. */
export function tarDiff(version: 1 | 2, operations: readonly Uint8Array[]): Buffer {
  const stream = compress(Buffer.concat(operations), 3);
  return Buffer.concat([Buffer.from(`tardf${version}\n\0`, 'latin1'), stream]);
}

/** Returns the files of an old image; like real ones, they are read in chunks of one buffer. */
export function oldFiles(contents: Readonly<Record<string, Uint8Array>>): OldFiles {
  const files = new Map(Object.entries(contents));
  return {
    open: async (path) => {
      const content = files.get(path);
      if (content === undefined) {
        throw new OstrataError('NOT_FOUND', `no file ${path}`);
      }
      return {
        size: content.length,
        read: (offset, length) => inOneBuffer(content.subarray(offset, offset + length)),
      };
    },
  };
}

function* inOneBuffer(bytes: Uint8Array): Generator<Uint8Array> {
  const buffer = Buffer.alloc(1000);
  for (let at = 0; at < bytes.length; at += buffer.length) {
    const piece = bytes.subarray(at, at + buffer.length);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
  }
}

/** Returns what a tar-diff makes of `files`. */
export async function apply(delta: Uint8Array, files: OldFiles): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of applyTarDiff([delta], files)) {
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}
