/** Decompresses layer blobs. */
import type { Duplex } from 'node:stream';
import * as zlib from 'node:zlib';
import { zstdDecompressor } from '../bytes/zstd-decompress.js';
import { OstrataError } from '../errors.js';
import { layerCompression } from './media-types.js';

/**
 * Size of the chunks of tar that a decompressor gives. Node 24 keeps more of larger ones before it
 * collects garbage: 78 MB of chunks of 256 KiB.
 */
const CHUNK_SIZE = 1 << 16;

/**
 * Largest zstd window, as a power of two: 32 MiB. A decompressor keeps that much of its output in
 * memory. RFC 8878 asks for at least 8 MiB.
 */
const MAX_WINDOW_LOG = 25;

/**
 * Returns the streams that a layer blob is piped through to get its tar; none if the blob is not
 * compressed. They hold a few megabytes and a zstd window, whatever the blob expands to.
 * Throws `UNSUPPORTED` for media types that cannot be read.
 */
export function layerDecompressor(mediaType: string): readonly Duplex[] {
  switch (layerCompression(mediaType)) {
    case 'none':
      return [];
    case 'gzip':
      return [zlib.createGunzip({ chunkSize: CHUNK_SIZE })];
    case 'zstd':
      return zstdDecompressor(MAX_WINDOW_LOG, CHUNK_SIZE);
    default:
      throw new OstrataError('UNSUPPORTED', `layers of media type ${mediaType} cannot be read`);
  }
}

/**
 * Throws `CORRUPT` if a decompressor did not take all `size` bytes of a blob. Node, gzip and GNU
 * tar ignore zeros after a gzip stream, and Python's gzip too; Go (podman, umoci) refuses whatever
 * is no further gzip stream. Bytes after a zstd stream never get here: `boundedParts`
 * (bytes/zstd-frames.ts) refuses them.
 */
export function checkAllDecompressed(streams: readonly Duplex[], size: number): void {
  const [stream] = streams;
  if (stream !== undefined && 'bytesWritten' in stream && stream.bytesWritten !== size) {
    throw new OstrataError(
      'CORRUPT',
      `its gzip stream ends at byte ${stream.bytesWritten} of ${size}; nothing may follow it`,
    );
  }
}
