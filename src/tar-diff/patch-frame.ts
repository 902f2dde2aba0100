/**
 * Zstd frames whose matches may lie in another file, their prefix: what `zstd --patch-from` writes
 * and reads. They are made by the function `ZSTD_CCtx_refPrefix` of zstd.
 *
 * To read one, no such function is needed. To a decompressor, a prefix is bytes that precede the
 * content. So a frame of the prefix in uncompressed blocks and then the blocks of the frame, with a
 * window that has room for both, gives the prefix and then the content. Uncompressed blocks change
 * nothing else that a decompressor keeps: neither its tables nor its repeated offsets.
 */
import { readAtLeast } from '../bytes/stream.js';
import { decompressZstd } from '../bytes/zstd-decompress.js';
import {
  BLOCK_TYPE_RAW,
  headerFieldsSize,
  MAX_BLOCK_CONTENT,
  parseFrameHeader,
  ZSTD_MAGIC,
} from '../bytes/zstd-frames.js';
import { OstrataError } from '../errors.js';
import type { NativeZstd } from '../system/native-zstd.js';

/** Limit for the window of a frame, as a power of two: 512 MiB. */
export const MAX_FRAME_WINDOW_LOG = 29;
/** Limit for a prefix, in bytes. */
export const MAX_PREFIX_SIZE = 2 ** MAX_FRAME_WINDOW_LOG;
/**
 * The largest window, as a power of two, in which the usual search of zstd is enough. In a larger
 * one it forgets what lies far back, so that long matches are looked for everywhere, too.
 */
const MAX_TABLE_LOG = 22;
/** The smallest window that a frame header can state, as a power of two. */
const MIN_WINDOW_LOG = 10;
/** The largest window of a frame with its prefix before it, and of what may follow the frame. */
const MAX_JOINED_WINDOW_LOG = MAX_FRAME_WINDOW_LOG + 1;

const MAGIC_SIZE = 4;
const CHECKSUM_SIZE = 4;
const BLOCK_HEADER_SIZE = 3;
/** Magic, descriptor, and at most 13 bytes of fields. */
const MAX_HEADER_SIZE = MAGIC_SIZE + 14;
/** A frame header whose only field is the window. */
const WINDOW_ONLY = 0;

/** Returns the window, as a power of two, that `zstd --patch-from` uses for such sizes in bytes. */
function windowLogFor(...sizes: readonly number[]): number {
  const bits = Math.ceil(Math.log2(Math.max(...sizes) + 1));
  return Math.min(Math.max(bits, MIN_WINDOW_LOG), MAX_FRAME_WINDOW_LOG);
}

/** Returns one frame that holds `content`. Both sizes are at most {@link MAX_PREFIX_SIZE}. */
export function compressWithPrefix(
  zstd: NativeZstd,
  content: Uint8Array,
  prefix: Uint8Array,
  level: number,
): Promise<Uint8Array> {
  const windowLog = windowLogFor(content.length, prefix.length);
  const isLongDistance = windowLog > MAX_TABLE_LOG;
  return zstd.compress(content, { level, windowLog, isLongDistance, prefix });
}

/** The file that precedes the content of a frame. */
export interface Prefix {
  readonly size: number;
  readonly chunks: Iterable<Uint8Array>;
}

/**
 * Yields the content of the one frame that `frame` holds. Memory is bounded by the size of the
 * prefix and the window of the frame. Throws `LIMIT` if either exceeds 512 MiB, `CORRUPT` if the
 * frame is damaged, and `UNSUPPORTED` if only a newer Node can decompress it.
 */
export async function* decompressWithPrefix(
  frame: AsyncIterable<Uint8Array>,
  prefix: Prefix,
): AsyncGenerator<Uint8Array> {
  if (prefix.size > MAX_PREFIX_SIZE) {
    throw new OstrataError(
      'LIMIT',
      `zstd-dict with a file of ${prefix.size} bytes, at most ${MAX_PREFIX_SIZE}`,
    );
  }

  const content = decompressZstd(joinFrame(frame, prefix), MAX_JOINED_WINDOW_LOG);
  let skip = prefix.size;
  for await (const chunk of content) {
    const skipped = Math.min(skip, chunk.length);
    skip -= skipped;
    if (skipped < chunk.length) {
      yield chunk.subarray(skipped);
    }
  }
}

/** Yields one frame of the prefix and the content. */
async function* joinFrame(
  frame: AsyncIterable<Uint8Array>,
  prefix: Prefix,
): AsyncGenerator<Uint8Array> {
  const input = frame[Symbol.asyncIterator]();
  const start = await readAtLeast(input, MAX_HEADER_SIZE);
  const { windowSize, hasChecksum, headerSize } = parseStart(start);
  if (windowSize > MAX_PREFIX_SIZE) {
    throw new OstrataError(
      'LIMIT',
      `zstd-dict with a window of ${windowSize} bytes, at most ${MAX_PREFIX_SIZE}`,
    );
  }
  yield encodeStart(windowSize + prefix.size);
  yield* rawBlocks(prefix);
  // The checksum is that of the content alone.
  yield* withoutEnd(start.subarray(headerSize), input, hasChecksum ? CHECKSUM_SIZE : 0);
}

function parseStart(start: Buffer) {
  const descriptor = start[MAGIC_SIZE];
  if (descriptor === undefined || start.readUInt32LE() !== ZSTD_MAGIC) {
    throw new OstrataError('CORRUPT', 'zstd-dict without a zstd frame');
  }
  const headerSize = MAGIC_SIZE + 1 + headerFieldsSize(descriptor);
  if (start.length < headerSize) {
    throw new OstrataError('CORRUPT', 'zstd-dict ends within the header of its frame');
  }
  const fields = start.subarray(MAGIC_SIZE + 1, headerSize);
  return { ...parseFrameHeader(descriptor, fields), headerSize };
}

/** Returns the beginning of a frame with a window of at least `size` bytes. */
function encodeStart(size: number): Uint8Array {
  const exponent = Math.max(Math.floor(Math.log2(Math.max(size, 1))), MIN_WINDOW_LOG);
  const eighths = Math.max(Math.ceil((size / 2 ** exponent - 1) * 8), 0);
  // Eight eighths are the next power of two.
  const window = ((exponent - MIN_WINDOW_LOG) << 3) + eighths;
  const start = Buffer.alloc(MAGIC_SIZE + 2);
  start.writeUInt32LE(ZSTD_MAGIC);
  start.writeUInt8(WINDOW_ONLY, MAGIC_SIZE);
  start.writeUInt8(window, MAGIC_SIZE + 1);
  return start;
}

/** Yields a prefix as uncompressed blocks; each is valid until the next one is asked for. */
function* rawBlocks({ size, chunks }: Prefix): Generator<Uint8Array> {
  const block = Buffer.allocUnsafe(BLOCK_HEADER_SIZE + Math.min(size, MAX_BLOCK_CONTENT));
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += MAX_BLOCK_CONTENT) {
      const content = chunk.subarray(at, at + MAX_BLOCK_CONTENT);
      const header = (BLOCK_TYPE_RAW << 1) | (content.length << 3);
      block.writeUIntLE(header, 0, BLOCK_HEADER_SIZE);
      block.set(content, BLOCK_HEADER_SIZE);
      yield block.subarray(0, BLOCK_HEADER_SIZE + content.length);
    }
  }
}

/** Yields `start` and the rest of `input` except for the last `count` bytes. */
async function* withoutEnd(
  start: Uint8Array,
  input: AsyncIterator<Uint8Array>,
  count: number,
): AsyncGenerator<Uint8Array> {
  let held = Buffer.from(start);
  for (;;) {
    const end = Math.max(held.length - count, 0);
    yield held.subarray(0, end);
    const { done, value } = await input.next();
    if (done) {
      return;
    }
    held = Buffer.concat([held.subarray(end), value]);
  }
}
