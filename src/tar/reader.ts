/**
 * Reads tar archives: POSIX ustar and pax, and the long names, base-256 numbers and sparse files of
 * GNU tar. A header block is decoded in entry.ts, extended headers in pax.ts, the maps of sparse
 * files in sparse.ts.
 *
 * Bytes are pushed in as they come, and entries go out synchronously: a layer has up to 70,000
 * entries, too many for a promise each.
 */
import { must, OstrataError, wrapError } from '../errors.js';
import {
  checkChecksum,
  checkNumbers,
  decodeHeader,
  decodeSparseMap,
  expandedHeader,
  type TarHeader,
} from './entry.js';
import { EntryDescription, EXTENDED_HEADERS, type ExtendedHeader } from './extended.js';
import { FIELDS, readNumber, TAR_BLOCK } from './fields.js';
import { SparseCursor, SparseLimits, type SparseMap } from './sparse.js';

/**
 * Receives the entries in order. An error that it throws is passed on with the name of the entry in
 * front.
 */
interface TarVisitor {
  entry(header: TarHeader): void;
  /**
   * Takes a part of the content of the entry, in which the holes of a sparse file are zeros. Not
   * called for empty content.
   * @param bytes valid until the call returns
   */
  content(bytes: Uint8Array): void;
  /** The entry is complete. */
  entryEnd(): void;
}

/**
 * Most bytes after the end of an archive. GNU tar fills up the last record with zeros: up to 10
 * KiB, and up to 512 KiB with `-b 1024`.
 */
const MAX_TRAILER_SIZE = 1 << 20;

/** What the holes of sparse files are passed on from. */
const ZEROS: Uint8Array = new Uint8Array(64 << 10);
/** Most bytes of holes that are passed on in one step of {@link TarReader.steps}. */
const MAX_STEP_SIZE = 16 << 20;

export class TarReader {
  readonly #visitor: TarVisitor;
  /** A header block, or bytes that belong to it, of which `#filled` have arrived. */
  #pending: Buffer = Buffer.alloc(TAR_BLOCK);
  #filled = 0;
  /** What reads `#pending`; undefined for a header block. */
  #awaiting: ((bytes: Buffer) => void) | undefined;
  #description = new EntryDescription();
  readonly #sparseLimits = new SparseLimits();
  /** The content of a sparse file that is being read. */
  #sparse: SparseCursor | undefined;
  /** Bytes that are still to come: of stored content, and of the padding after it. */
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
    for (const _ of this.steps(bytes)) {
    }
  }

  /**
   * Does the same as {@link push}, but yields after each 16 MiB of a hole: a few bytes can expand
   * to many GiB. The caller, which must exhaust the generator, takes what it has got so
   * far or lets other work go on.
   */
  *steps(bytes: Uint8Array): Generator<void> {
    let at = 0;
    while (at < bytes.length || this.#hole > 0) {
      if (this.#hole > 0) {
        this.#passHole();
        yield;
      } else if (this.#zeroBlocks >= 2) {
        at += this.#skipTrailer(bytes.length - at);
      } else if (this.#content > 0) {
        const length = this.#sparse?.data ?? this.#content;
        at += this.#passContent(bytes.subarray(at, at + length));
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
    this.#sparse = undefined;
    this.#content = 0;
    this.#padding = 0;
    return left;
  }

  /**
   * Throws `CORRUPT` unless the archive ended behind the content of an entry. The padding of the
   * last one may be missing: `umoci insert` 0.4.7 writes none, and Go's archive/tar (podman) needs
   * none.
   * @param needsMarker whether two blocks of zeros must end it: without them, an archive whose
   *   writer failed between two entries looks complete
   */
  end(needsMarker = false): void {
    const isWithinHeader = this.#filled > 0 || this.#awaiting !== undefined;
    if (isWithinHeader || Object.keys(this.#description.overrides).length > 0) {
      throw new OstrataError('CORRUPT', 'tar archive ends within a header');
    }
    if (this.#content > 0) {
      throw new OstrataError('CORRUPT', `tar archive ends within ${this.#entry}`);
    }
    if (needsMarker && this.#zeroBlocks < 2) {
      throw new OstrataError(
        'CORRUPT',
        `tar archive is cut off behind ${this.#entry ?? 'nothing'}: no two blocks of zeros end it`,
      );
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

  /** Bytes of the hole that comes next. */
  get #hole(): number {
    return this.#sparse?.hole ?? 0;
  }

  #passHole(): void {
    let left = Math.min(this.#hole, MAX_STEP_SIZE);
    while (left > 0) {
      const zeros = ZEROS.subarray(0, left);
      left -= zeros.length;
      this.#pass(zeros);
    }
  }

  #passContent(bytes: Uint8Array): number {
    this.#content -= bytes.length;
    this.#pass(bytes);
    return bytes.length;
  }

  #pass(bytes: Uint8Array): void {
    this.#sparse?.advance(bytes.length);
    this.#visit(() => {
      this.#visitor.content(bytes);
      if (this.#content === 0 && this.#hole === 0) {
        this.#visitor.entryEnd();
      }
    });
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
    if (this.#filled === 0 && length === this.#pending.length && !this.#awaiting) {
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
    const read = this.#awaiting;
    this.#filled = 0;
    if (read === undefined) {
      this.#readBlock(bytes);
      return;
    }

    this.#pending = Buffer.alloc(TAR_BLOCK);
    this.#awaiting = undefined;
    read(bytes);
  }

  /** Lets `read` have the next `size` bytes, which belong to a header, and skips their padding. */
  #await(size: number, read: (bytes: Buffer) => void): void {
    const padding = paddingSize(size);
    this.#nextBlock += size + padding;
    this.#pending = Buffer.alloc(size);
    this.#awaiting = (bytes) => {
      this.#padding = padding;
      read(bytes);
    };
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
      this.#beginExtended(flag, extended, readNumber(block, FIELDS.size));
    }
  }

  #readEntry(block: Buffer, flag: string): void {
    const { overrides } = this.#description;
    this.#description = new EntryDescription();
    const header = decodeHeader(block, flag, overrides);
    this.#entry = `entry ${JSON.stringify(header.name)}`;
    this.#visit(() => {
      const map = decodeSparseMap(block, flag, header.type, overrides);
      if (map === undefined) {
        this.#begin(header);
      } else {
        this.#readMap(header, map);
      }
    });
  }

  /** Reads the blocks of a map that are still to come, then begins the entry. */
  #readMap(header: TarHeader, map: SparseMap): void {
    if (!map.needsBlock) {
      const expanded = expandedHeader(header, map);
      this.#sparseLimits.add(map);
      this.#begin(expanded, new SparseCursor(map.extents, map.size));
      return;
    }
    if (map.storedSize > header.storedSize) {
      throw new OstrataError('CORRUPT', 'sparse file: its content ends within its map');
    }
    this.#await(TAR_BLOCK, (block) => {
      this.#visit(() => {
        map.read(block);
        this.#readMap(header, map);
      });
    });
  }

  #begin(header: TarHeader, sparse?: SparseCursor): void {
    this.#sparse = sparse;
    this.#content = header.storedSize;
    this.#padding = paddingSize(header.storedSize);
    this.#contentOffset = this.#nextBlock;
    this.#nextBlock += this.#content + this.#padding;
    this.#visitor.entry(header);
    if (header.size === 0) {
      this.#visitor.entryEnd();
    }
  }

  #beginExtended(flag: string, extended: ExtendedHeader, size: number): void {
    if (size === 0 || size > extended.limit) {
      throw new OstrataError(
        'LIMIT',
        `tar extended header of ${size} bytes, expected 1 to ${extended.limit}`,
      );
    }
    this.#await(size, (body) => {
      this.#description.add(flag, extended.decode(body));
    });
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

function paddingSize(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}
