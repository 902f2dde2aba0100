/**
 * Walks the frames of a zstd stream (RFC 8878, https://www.rfc-editor.org/rfc/rfc8878#section-3.1)
 * without decompressing them. All numbers are little-endian.
 *
 * - Frame: magic (4 bytes), frame header (2 to 14), blocks, a checksum (4) if the header says so.
 * - Frame header: descriptor (1), window (0 or 1), dictionary id (0 to 4), content size (0 to 8).
 * - Block: header (3; bit 0: last block, bits 1 and 2: type, bits 3 to 23: size), content.
 * - Skippable frame: magic (4), size (4), content.
 */
import { OstrataError } from '../errors.js';
import type { ByteStream } from './stream.js';

export const ZSTD_MAGIC = 0xfd2fb528;
/** The last four bits of this magic are arbitrary. */
const SKIPPABLE_MAGIC = 0x184d2a50;
/**
 * Limit of the format for the content of a block, in bytes; compressed, a block may take only four.
 */
export const MAX_BLOCK_CONTENT = 128 << 10;
/** Limit for what one part expands to, in bytes; only its last block may exceed it. */
const MAX_PART_CONTENT = 1 << 20;

/** Sizes of fields by the flags of a frame header. */
const DICTIONARY_ID_SIZES = [0, 1, 2, 4];
const CONTENT_SIZE_SIZES = [0, 2, 4, 8];

export const BLOCK_TYPE_RAW = 0;
const BLOCK_TYPE_RLE = 1;

/** What the walk does with the next bytes. */
type Step =
  | { readonly type: 'read'; readonly size: number; readonly mayEnd: boolean }
  | { readonly type: 'skip'; readonly size: number };

/** A step in the walk; it is resumed with the bytes that it asked to read. */
type Walk<Result> = Generator<Step, Result, Buffer>;

/**
 * Cuts a zstd stream into parts that each expand to little more than a megabyte: a block of four
 * bytes can stand for 128 KiB, and many decompressors give the content of all their input at once.
 * Throws `CORRUPT` unless the stream is a sequence of complete frames, and `LIMIT` if a frame needs
 * a window of more than `maxWindowSize` bytes, which a decompressor keeps in memory. A part is
 * valid until the next one is asked for.
 */
export async function* boundedParts(
  stream: ByteStream,
  maxWindowSize: number,
): AsyncGenerator<Uint8Array> {
  const cutter = new PartCutter(maxWindowSize);
  for await (const bytes of stream) {
    yield* cutter.cut(bytes);
  }
  cutter.end();
}

class PartCutter {
  /** The most bytes that the blocks which begin in the current part can expand to. */
  #content = 0;
  readonly #walk: Walk<never>;
  #step: Step;
  /**
   * Number of bytes that the current step has taken. A step of type `read` keeps them in `#read`.
   */
  #taken = 0;
  readonly #read = Buffer.alloc(16);

  constructor(maxWindowSize: number) {
    this.#walk = walkFrames(maxWindowSize, (blockContent) => {
      this.#content += blockContent;
    });
    this.#step = this.#resume(Buffer.alloc(0));
  }

  *cut(bytes: Uint8Array): Generator<Uint8Array> {
    let start = 0;
    for (let at = 0; at < bytes.length; ) {
      at += this.#advance(bytes.subarray(at));
      if (this.#content >= MAX_PART_CONTENT) {
        yield bytes.subarray(start, at);
        start = at;
        this.#content = 0;
      }
    }

    if (start < bytes.length) {
      yield bytes.subarray(start);
      this.#content = 0;
    }
  }

  /** Throws `CORRUPT` unless the stream ended between two frames. */
  end(): void {
    if (this.#taken > 0 || this.#step.type !== 'read' || !this.#step.mayEnd) {
      throw new OstrataError('CORRUPT', 'the zstd stream ends within a frame');
    }
  }

  /** Takes bytes for the current step. Returns how many it took. */
  #advance(bytes: Uint8Array): number {
    const { type, size } = this.#step;
    const length = Math.min(bytes.length, size - this.#taken);
    if (type === 'read') {
      this.#read.set(bytes.subarray(0, length), this.#taken);
    }

    this.#taken += length;
    if (this.#taken === size) {
      this.#step = this.#resume(this.#read);
      this.#taken = 0;
    }
    return length;
  }

  #resume(read: Buffer): Step {
    for (;;) {
      const step = this.#walk.next(read).value;
      if (step.size > 0) {
        return step;
      }
    }
  }
}

/** @param onBlock called with an upper bound of what a block expands to */
function* walkFrames(maxWindowSize: number, onBlock: (content: number) => void): Walk<never> {
  for (;;) {
    const magic = (yield read(4, true)).readUInt32LE();
    if (magic === ZSTD_MAGIC) {
      yield* walkFrame(maxWindowSize, onBlock);
    } else if ((magic & ~0xf) === SKIPPABLE_MAGIC) {
      yield skip((yield read(4)).readUInt32LE());
    } else {
      throw new OstrataError(
        'CORRUPT',
        `zstd frame with the magic 0x${magic.toString(16)}, expected 0x${ZSTD_MAGIC.toString(16)}`,
      );
    }
  }
}

function* walkFrame(maxWindowSize: number, onBlock: (content: number) => void): Walk<void> {
  const descriptor = (yield read(1)).readUInt8();
  const fields = yield read(headerFieldsSize(descriptor));
  const { windowSize, hasChecksum } = parseFrameHeader(descriptor, fields);
  if (windowSize > maxWindowSize) {
    throw new OstrataError(
      'LIMIT',
      `zstd frame with a window of ${windowSize} bytes, at most ${maxWindowSize}`,
    );
  }

  for (let isLast = false; !isLast; ) {
    const header = (yield read(3)).readUIntLE(0, 3);
    isLast = (header & 1) === 1;
    const type = (header >> 1) & 3;
    const size = header >> 3;
    onBlock(type === BLOCK_TYPE_RAW ? size : MAX_BLOCK_CONTENT);
    yield skip(type === BLOCK_TYPE_RLE ? 1 : size);
  }
  yield skip(hasChecksum ? 4 : 0);
}

export interface FrameHeader {
  /** Bytes of its content that a decompressor keeps. */
  readonly windowSize: number;
  /** Whether four bytes with a checksum follow the last block. */
  readonly hasChecksum: boolean;
}

/** Returns how many bytes of a frame header follow its descriptor, which has one byte. */
export function headerFieldsSize(descriptor: number): number {
  const { windowSize, dictionaryIdSize, contentSizeSize } = fieldSizes(descriptor);
  return windowSize + dictionaryIdSize + contentSizeSize;
}

/** @param fields the bytes after the descriptor, see {@link headerFieldsSize} */
export function parseFrameHeader(descriptor: number, fields: Buffer): FrameHeader {
  const sizes = fieldSizes(descriptor);
  const hasChecksum = (descriptor & 4) !== 0;
  if (sizes.windowSize === 0) {
    // The content is the window.
    const contentSize = fields.subarray(sizes.dictionaryIdSize);
    return { windowSize: readContentSize(contentSize, sizes.contentSizeSize), hasChecksum };
  }
  const window = fields.readUInt8();
  const base = 2 ** (10 + (window >> 3));
  return { windowSize: base + (base / 8) * (window & 7), hasChecksum };
}

function fieldSizes(descriptor: number) {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const contentSizeSize = CONTENT_SIZE_SIZES[descriptor >> 6] ?? 0;
  return {
    windowSize: isSingleSegment ? 0 : 1,
    dictionaryIdSize: DICTIONARY_ID_SIZES[descriptor & 3] ?? 0,
    contentSizeSize: isSingleSegment ? Math.max(contentSizeSize, 1) : contentSizeSize,
  };
}

function readContentSize(bytes: Buffer, size: number): number {
  switch (size) {
    case 1:
      return bytes.readUInt8();
    case 2:
      return bytes.readUInt16LE() + 256;
    case 4:
      return bytes.readUInt32LE();
    default:
      return Number(bytes.readBigUInt64LE());
  }
}

/** @param mayEnd whether the stream may end before these bytes */
function read(size: number, mayEnd = false): Step {
  return { type: 'read', size, mayEnd };
}

function skip(size: number): Step {
  return { type: 'skip', size };
}
