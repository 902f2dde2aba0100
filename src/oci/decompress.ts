/** Decompresses layer blobs. */
import { Duplex, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { OstrataError } from '../errors.js';
import { layerCompression } from './media-types.js';

/** Size of the chunks of tar that a decompressor gives. */
const CHUNK_SIZE = 1 << 18;

/** Node has this function from version 22.15 on; our types are those of Node 20. */
const { createZstdDecompress } = zlib as {
  createZstdDecompress?: ((options: { chunkSize: number }) => Transform) | undefined;
};

/**
 * Returns the streams that a layer blob is piped through to get its tar: one, or none if the blob
 * is not compressed. Throws `UNSUPPORTED` for media types that cannot be read.
 */
export function layerDecompressor(mediaType: string): readonly Duplex[] {
  switch (layerCompression(mediaType)) {
    case 'none':
      return [];
    case 'gzip':
      return [zlib.createGunzip({ chunkSize: CHUNK_SIZE })];
    case 'zstd':
      return [createZstdDecompress?.({ chunkSize: CHUNK_SIZE }) ?? packagedZstd()];
    default:
      throw new OstrataError('UNSUPPORTED', `layers of media type ${mediaType}`);
  }
}

/** The decompressor for older versions of Node, from the package that compresses zstd. */
function packagedZstd(): Duplex {
  return Duplex.from(async function* (blob: AsyncIterable<Uint8Array>) {
    const { Decompressor } = await loadZstdPackage();
    const tar = new Decompressor();
    const done = pipeline(blob, tar);
    done.catch(() => {}); // the loop below throws the same error
    for await (const chunk of tar) {
      yield chunk;
    }
    await done;
  });
}

async function loadZstdPackage() {
  try {
    return await import('@cloudpss/zstd/napi');
  } catch (cause) {
    throw new OstrataError(
      'UNSUPPORTED',
      'zstd layers need Node 22.15 or newer, or the optional package @cloudpss/zstd; ' +
        `this is Node ${process.versions.node}`,
      { cause },
    );
  }
}
