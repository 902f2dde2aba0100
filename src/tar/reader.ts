/**
 * Reads tar archives: POSIX ustar and pax, and the long names and base-256 numbers of GNU tar.
 * A header block is decoded in entry.ts, extended headers in pax.ts.
 *
 * Bytes are pushed in as they come, and entries go out synchronously: a layer has up to 70,000
 * entries, too many for a promise each.
 */
import { must, OstrataError, wrapError } from '../errors.js';
import { checkChecksum, checkNumbers, decodeHeader, type TarHeader } from './entry.js';
import { decodeText, FIELDS, readNumber, TAR_BLOCK, untilNul } from './fields.js';
import { decodePax, type Overrides } from './pax.js';

/**
 * Receives the entries in order. An error that it throws is passed on with the name of the entry in
 * front.
 */
interface TarVisitor {
  entry(header: TarHeader): void;
  /**
   * Takes a part of the content of the entry. Not called for empty content.
   * @param bytes valid until the call returns
   */
  content(bytes: Uint8Array): void;
  /** The entry is complete. */
  entryEnd(): void;
}

/** Largest extended header: bootc's limit for xattrs (1 MiB), and 64 KiB for everything else. */
const MAX_EXTENDED_SIZE = (1 << 20) + (1 << 16);
/** Largest long name: PATH_MAX with `./` before it and a NUL after it. */
const MAX_NAME_SIZE = 4099;
/**
 * Most bytes after the end of an archive. GNU tar fills up the last record with zeros: up to 10
 * KiB, and up to 512 KiB with `-b 1024`.
 */
const MAX_TRAILER_SIZE = 1 << 20;

/** An entry that describes the entry after it. */
interface ExtendedHeader {
  /** Largest body in bytes. */
  readonly limit: number;
  readonly decode: (body: Buffer) => Overrides;
}

/** The extended headers by their type flags; `L` and `K` are GNU tar's. */
const EXTENDED_HEADERS: ReadonlyMap<string, ExtendedHeader> = new Map([
  ['x', { limit: MAX_EXTENDED_SIZE, decode: decodePax }],
  ['g', { limit: MAX_EXTENDED_SIZE, decode: decodeGlobalPax }],
  [
    'L',
    { limit: MAX_NAME_SIZE, decode: (body) => ({ name: decodeText(untilNul(body), 'long name') }) },
  ],
  [
    'K',
    {
      limit: MAX_NAME_SIZE,
      decode: (body) => ({ linkname: decodeText(untilNul(body), 'long link name') }),
    },
  ],
]);

export class TarReader {
  readonly #visitor: TarVisitor;
  /** A header block, or the body of an extended header, of which `#filled` bytes have arrived. */
  #pending: Buffer = Buffer.alloc(TAR_BLOCK);
  #filled = 0;
  /** The extended header whose body is in `#pending`. */
  #extended: ExtendedHeader | undefined;
  #overrides: Overrides = {};
  /** Bytes that are still to come: of content, and of the padding after it. */
  #content = 0;
  #padding = 0;
  /** Bytes before the next header block. */
  #nextBlock = 0;
  #contentOffset = 0;
  /** What errors call the current entry. */
  #entry: string | undefined;
  /**
   * Blocks of zeros so far: two of them end an archive. After one, GNU tar and Python's tarfile end
   * the archive too, Go's archive/tar (podman, umoci) fails if another block follows: entries that
   * some programs read and others do not are refused.
   */
  #zeroBlocks = 0;
  /** Bytes that came after the end of the archive. */
  #trailer = 0;

  constructor(visitor: TarVisitor) {
    this.#visitor = visitor;
  }

  /**
   * Where the content of the current entry lies: bytes from the start of the archive to its first
   * byte. Valid from `entry` to `entryEnd`.
   */
  get contentOffset(): number {
    return this.#contentOffset;
  }

  /** Reads the next bytes of the archive. Throws `CORRUPT`, `UNSUPPORTED` or `LIMIT`. */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#zeroBlocks >= 2) {
        at += this.#skipTrailer(bytes.length - at);
      } else if (this.#content > 0) {
        at += this.#passContent(bytes.subarray(at, at + this.#content));
      } else if (this.#padding > 0) {
        at += this.#skipPadding(bytes.length - at);
      } else {
        at += this.#fill(bytes.subarray(at));
      }
    }
  }

  /**
   * Ends the current entry early. Returns how many bytes of it are left in the archive; the caller
   * skips them instead of pushing them.
   */
  skip(): number {
    const left = this.#content + this.#padding;
    if (this.#content > 0) {
      this.#visit(() => this.#visitor.entryEnd());
    }
    this.#content = 0;
    this.#padding = 0;
    return left;
  }

  /** Throws `CORRUPT` unless the archive ended between two entries. */
  end(): void {
    const isWithinEntry = this.#content > 0 || this.#padding > 0;
    const isWithinHeader = this.#filled > 0 || this.#extended !== undefined;
    if (isWithinHeader || hasKeys(this.#overrides)) {
      throw new OstrataError('CORRUPT', 'tar archive ends within a header');
    }
    if (isWithinEntry) {
      throw new OstrataError('CORRUPT', `tar archive ends within ${this.#entry}`);
    }
  }

  #skipTrailer(length: number): number {
    this.#trailer += length;
    if (this.#trailer > MAX_TRAILER_SIZE) {
      throw new OstrataError(
        'LIMIT',
        `more than ${MAX_TRAILER_SIZE} bytes after the end of the tar archive`,
      );
    }
    return length;
  }

  #passContent(bytes: Uint8Array): number {
    this.#content -= bytes.length;
    this.#visit(() => {
      this.#visitor.content(bytes);
      if (this.#content === 0) {
        this.#visitor.entryEnd();
      }
    });
    return bytes.length;
  }

  #skipPadding(available: number): number {
    const length = Math.min(this.#padding, available);
    this.#padding -= length;
    return length;
  }

  /** Fills `#pending`, and reads it when it is complete. Returns how many bytes it took. */
  #fill(bytes: Uint8Array): number {
    const length = Math.min(bytes.length, this.#pending.length - this.#filled);
    // A whole block at once needs no copy.
    if (this.#filled === 0 && length === this.#pending.length && !this.#extended) {
      this.#readBlock(Buffer.from(bytes.buffer, bytes.byteOffset, length));
      return length;
    }

    this.#pending.set(bytes.subarray(0, length), this.#filled);
    this.#filled += length;
    if (this.#filled === this.#pending.length) {
      this.#readPending();
    }
    return length;
  }

  #readPending(): void {
    const bytes = this.#pending;
    const extended = this.#extended;
    this.#filled = 0;
    if (extended === undefined) {
      this.#readBlock(bytes);
      return;
    }

    this.#pending = Buffer.alloc(TAR_BLOCK);
    this.#extended = undefined;
    this.#padding = paddingSize(bytes.length);
    this.#overrides = { ...this.#overrides, ...extended.decode(bytes) };
  }

  #readBlock(block: Buffer): void {
    this.#nextBlock += TAR_BLOCK;
    if (block.every((byte) => byte === 0)) {
      this.#zeroBlocks++;
      return;
    }
    if (this.#zeroBlocks > 0) {
      throw new OstrataError(
        'CORRUPT',
        `tar archive goes on after a lone block of zeros behind ${this.#entry ?? 'nothing'}`,
      );
    }
    checkChecksum(block);
    checkNumbers(block);

    const flag = String.fromCharCode(block[FIELDS.typeflag.offset] ?? 0);
    const extended = EXTENDED_HEADERS.get(flag);
    if (extended === undefined) {
      this.#readEntry(block, flag);
    } else {
      this.#beginExtended(extended, readNumber(block, FIELDS.size));
    }
  }

  #readEntry(block: Buffer, flag: string): void {
    const header = decodeHeader(block, flag, this.#overrides);
    this.#overrides = {};
    this.#content = header.size;
    this.#padding = paddingSize(header.size);
    this.#contentOffset = this.#nextBlock;
    this.#nextBlock += this.#content + this.#padding;
    this.#entry = `entry ${JSON.stringify(header.name)}`;
    this.#visit(() => {
      this.#visitor.entry(header);
      if (header.size === 0) {
        this.#visitor.entryEnd();
      }
    });
  }

  #beginExtended(extended: ExtendedHeader, size: number): void {
    if (size === 0 || size > extended.limit) {
      throw new OstrataError(
        'LIMIT',
        `tar extended header of ${size} bytes, expected 1 to ${extended.limit}`,
      );
    }
    this.#pending = Buffer.alloc(size);
    this.#extended = extended;
    this.#nextBlock += size + paddingSize(size);
  }

  /** Calls the visitor. Its errors get the name of the entry. */
  #visit(body: () => void): void {
    try {
      body();
    } catch (error) {
      throw wrapError(must(this.#entry, 'the entry that is visited'), error);
    }
  }
}

/**
 * A global header, e.g. a comment of git-archive. No field that it could set for all entries is
 * supported. A time is ignored, as by container engines.
 */
function decodeGlobalPax(body: Buffer): Overrides {
  const { mtime, ...unsupported } = decodePax(body);
  if (hasKeys(unsupported)) {
    throw new OstrataError('UNSUPPORTED', 'global pax header for all entries of a tar archive');
  }
  return {};
}

function paddingSize(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

function hasKeys(value: object): boolean {
  return Object.keys(value).length > 0;
}
