import { Duplex, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { OstrataError } from '../errors.js';
import { layerCompression } from './media-types.js';

/** Bytes of tar at a time. */
const CHUNK_SIZE = 1 << 18;

/** From Node 22.15 on; the types are of Node 20. */
const { createZstdDecompress } = zlib as {
  createZstdDecompress?: ((options: { chunkSize: number }) => Transform) | undefined;
};

/** Steps of a pipeline that turn a layer blob into its tar; `UNSUPPORTED` for media types that are not read. */
export function layerDecompressor(mediaType: string): readonly Duplex[] {
  const compression = layerCompression(mediaType);
  if (compression === 'none') {
    return [];
  }
  if (compression === 'gzip') {
    return [zlib.createGunzip({ chunkSize: CHUNK_SIZE })];
  }
  if (compression === undefined) {
    throw new OstrataError('UNSUPPORTED', `layers of media type ${mediaType}`);
  }
  return [createZstdDecompress?.({ chunkSize: CHUNK_SIZE }) ?? zstdOfPackage()];
}

/** For older Node: the streaming reader of the package that writes zstd. */
function zstdOfPackage(): Duplex {
  return Duplex.from(async function* (blob: AsyncIterable<Uint8Array>) {
    const { Decompressor } = await import('@cloudpss/zstd/napi').catch((cause) => {
      const rule = 'zstd layers need Node 22.15 or newer, or the optional package @cloudpss/zstd';
      throw new OstrataError('UNSUPPORTED', `${rule}; this is Node ${process.versions.node}`, {
        cause,
      });
    });
    const tar = new Decompressor();
    const done = pipeline(blob, tar);
    done.catch(() => {}); // the same error ends the loop
    for await (const chunk of tar) {
      yield chunk as Uint8Array;
    }
    await done;
  });
}
