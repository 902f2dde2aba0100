import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { OstrataError } from '../errors.js';
import { layerCompression } from './media-types.js';

/** Bytes of tar at a time. */
const CHUNK_SIZE = 1 << 18;

/** From Node 22.15 on; the types are of Node 20. */
const { createZstdDecompress } = zlib as { createZstdDecompress?: (options: { chunkSize: number }) => Transform };

/** Steps of a pipeline that turn a layer blob into its tar; `UNSUPPORTED` for media types that are not read. */
export function layerDecompressor(mediaType: string): readonly Transform[] {
  const compression = layerCompression(mediaType);
  if (compression === 'none') return [];
  if (compression === 'gzip') return [zlib.createGunzip({ chunkSize: CHUNK_SIZE })];
  if (compression === undefined) throw new OstrataError('UNSUPPORTED', `layers of media type ${mediaType}`);
  if (createZstdDecompress === undefined)
    throw new OstrataError('UNSUPPORTED', `zstd layers need Node 22.15 or newer, this is ${process.versions.node}`);
  return [createZstdDecompress({ chunkSize: CHUNK_SIZE })];
}
