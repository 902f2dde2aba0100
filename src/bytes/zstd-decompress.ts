/** Decompresses zstd (RFC 8878) by Node or, in older versions of Node, by an optional package. */
import { Duplex, pipeline, Readable, type Transform } from 'node:stream';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { messageOf, OstrataError } from '../errors.js';
import type { ByteStream } from './stream.js';
import { boundedParts } from './zstd-frames.js';

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
/** The largest window that the package decompresses: the default of zstd. */
const MAX_PACKAGED_WINDOW_LOG = 27;

/** Size of the chunks of {@link decompressZstd}. */
const CHUNK_SIZE = 1 << 16;

const NEEDED = 'Node 22.15 or newer';

/**
 * Returns the streams that zstd frames are piped through to get their content. They hold a few
 * megabytes and the window of a frame. The streams throw `CORRUPT` unless they get whole frames,
 * `LIMIT` if a frame needs a window of more than `2 ** maxWindowLog` bytes, and `UNSUPPORTED` if
 * only a newer Node could decompress it.
 */
export function zstdDecompressor(maxWindowLog: number, chunkSize: number): readonly Duplex[] {
  if (createZstdDecompress === undefined) {
    return [
      Duplex.from((stream: AsyncIterable<Uint8Array>) => packagedContent(stream, maxWindowLog)),
    ];
  }
  const parts = Duplex.from((stream: AsyncIterable<Uint8Array>) =>
    boundedParts(stream, 2 ** maxWindowLog),
  );
  return [parts, createZstdDecompress(nodeOptions(maxWindowLog, chunkSize))];
}

/**
 * Yields the content of zstd frames. Throws what the streams of {@link zstdDecompressor} throw, and
 * `CORRUPT` for a frame that cannot be decompressed.
 */
export async function* decompressZstd(
  frames: ByteStream,
  maxWindowLog: number,
): AsyncGenerator<Uint8Array> {
  try {
    yield* createZstdDecompress === undefined
      ? packagedContent(frames, maxWindowLog)
      : contentByNode(createZstdDecompress, copied(frames), maxWindowLog);
  } catch (error) {
    const isSystemError = error instanceof Error && 'syscall' in error;
    if (isSystemError || error instanceof OstrataError) {
      throw error;
    }
    throw new OstrataError('CORRUPT', `zstd: ${messageOf(error)}`, { cause: error });
  }
}

function contentByNode(
  create: (options: ZstdOptions) => Transform,
  frames: AsyncIterable<Uint8Array>,
  maxWindowLog: number,
): AsyncIterable<Uint8Array> {
  const parts = Readable.from(boundedParts(frames, 2 ** maxWindowLog), { objectMode: false });
  const content = create(nodeOptions(maxWindowLog, CHUNK_SIZE));
  pipeline(parts, content, () => {}); // iterating throws the error
  return content;
}

function nodeOptions(maxWindowLog: number, chunkSize: number): ZstdOptions {
  return { chunkSize, params: { [ZSTD_MAX_WINDOW_LOG]: maxWindowLog } };
}

/** A stream of Node holds several chunks, each of which is valid only until the next one. */
async function* copied(stream: ByteStream): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    yield Buffer.from(chunk);
  }
}

/**
 * The decompressor of the last stream, for the next one. Its memory is outside of V8's heap, where
 * the garbage collector does not see it: thousands of them would take gigabytes.
 */
let spare: PackagedDecompressor | undefined;

/** Decompresses in older versions of Node, by the package that compresses zstd. */
async function* packagedContent(
  stream: ByteStream,
  maxWindowLog: number,
): AsyncGenerator<Uint8Array> {
  const decompress = spare ?? (await createPackagedDecompressor());
  spare = undefined;
  try {
    for await (const part of boundedParts(stream, 2 ** maxWindowLog)) {
      yield* await decompress(part);
    }
  } catch (error) {
    throw explained(error, maxWindowLog);
  }
  // The stream was a sequence of whole frames, so nothing of it is left.
  spare = decompress;
}

/** Names the remedy if the package refuses a window that a newer Node would accept. */
function explained(error: unknown, maxWindowLog: number): unknown {
  const isWindow = messageOf(error).includes('too much memory');
  if (!isWindow || maxWindowLog <= MAX_PACKAGED_WINDOW_LOG) {
    return error;
  }
  return new OstrataError(
    'UNSUPPORTED',
    `zstd frame with a window of more than ${2 ** MAX_PACKAGED_WINDOW_LOG} bytes: ` +
      `needs ${NEEDED}; this is Node ${process.versions.node}`,
    { cause: error },
  );
}

/** Returns the content of the next part of a stream. */
type PackagedDecompressor = (part: Uint8Array) => Promise<readonly Uint8Array[]>;

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

  // The whole part has been read when this calls back.
  const write = promisify((part: Uint8Array, done: () => void) => stream.write(part, done));
  return async (part) => {
    content = [];
    await write(part);
    return content;
  };
}

async function loadZstdPackage() {
  try {
    return await import('@cloudpss/zstd/napi');
  } catch (cause) {
    throw new OstrataError(
      'UNSUPPORTED',
      `reading zstd needs ${NEEDED}, or the optional package @cloudpss/zstd; ` +
        `this is Node ${process.versions.node}`,
      { cause },
    );
  }
}
