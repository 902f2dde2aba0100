/** Decompresses layer blobs. */
import { Duplex, type Transform } from 'node:stream';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { OstrataError } from '../errors.js';
import { layerCompression } from './media-types.js';
import { boundedParts, MAX_WINDOW_LOG } from './zstd-frames.js';

/**
 * Size of the chunks of tar that a decompressor gives. Node 24 keeps more of larger ones before it
 * collects garbage: 78 MB of chunks of 256 KiB.
 */
const CHUNK_SIZE = 1 << 16;

interface ZstdOptions {
  readonly chunkSize: number;
  readonly params: Readonly<Record<number, number>>;
}

/** Node has this function from version 22.15 on; our types are those of Node 20. */
const { createZstdDecompress } = zlib as {
  createZstdDecompress?: ((options: ZstdOptions) => Transform) | undefined;
};

/** The parameter `ZSTD_d_windowLogMax` of zstd. */
const ZSTD_MAX_WINDOW_LOG = 100;

const ZSTD_OPTIONS: ZstdOptions = {
  chunkSize: CHUNK_SIZE,
  params: { [ZSTD_MAX_WINDOW_LOG]: MAX_WINDOW_LOG },
};

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
      return createZstdDecompress === undefined
        ? [packagedZstd()]
        : [Duplex.from(boundedParts), createZstdDecompress(ZSTD_OPTIONS)];
    default:
      throw new OstrataError('UNSUPPORTED', `layers of media type ${mediaType} cannot be read`);
  }
}

/**
 * Throws `CORRUPT` if a decompressor did not take all `size` bytes of a blob. Node, gzip and GNU
 * tar ignore zeros after a gzip stream, and Python's gzip too; Go (podman, umoci) refuses whatever
 * is no further gzip stream. Bytes after a zstd stream never get here: {@link boundedParts} refuses
 * them.
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

/** The decompressor for older versions of Node, from the package that compresses zstd. */
function packagedZstd(): Duplex {
  return Duplex.from(async function* (blob: AsyncIterable<Uint8Array>) {
    const decompressor = await createPackagedDecompressor();
    for await (const part of boundedParts(blob)) {
      yield* await decompressor.decompress(part);
    }
    yield* await decompressor.end();
  });
}

interface PackagedDecompressor {
  /** Returns the content of the next part of a blob. */
  decompress(part: Uint8Array): Promise<readonly Uint8Array[]>;
  /** Returns what is left. */
  end(): Promise<readonly Uint8Array[]>;
}

/**
 * The stream of the package does not wait for its reader: it pushes the content of all its input at
 * once. So it is given one part of the input at a time, and the content is taken before the next
 * part.
 */
async function createPackagedDecompressor(): Promise<PackagedDecompressor> {
  const { Decompressor } = await loadZstdPackage();
  const stream = new Decompressor();
  stream.on('error', () => {}); // the callbacks below get the same error

  let content: Uint8Array[] = [];
  stream.push = (chunk: Uint8Array | null) => {
    if (chunk !== null) {
      content.push(chunk);
    }
    return true;
  };

  const contentAfter = async (
    step: (done: (error?: Error | null) => void) => void,
  ): Promise<readonly Uint8Array[]> => {
    content = [];
    await promisify(step)();
    return content;
  };
  return {
    decompress: (part) => contentAfter((done) => stream.write(part, done)),
    end: () => contentAfter((done) => stream.end(done)),
  };
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
