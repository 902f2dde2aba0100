/**
 * Sparse files: the archive stores their data without the holes, and a map says where it belongs.
 * Reads the four forms of GNU tar, of which libarchive and others write some:
 * https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html
 *
 * - Old GNU, type `S`: four extents in the header block, 21 in each block that follows it.
 * - PAX 0.0 and 0.1: records of an extended header, see {@link readSparseRecord}.
 * - PAX 1.0: decimal numbers, each with a newline, in the first blocks of the stored content.
 */
import { OstrataError } from '../errors.js';
import { decodeDecimal, decodeText, type Field, readNumber, TAR_BLOCK } from './fields.js';

/** Most extents of all sparse files of an archive together: they are kept in memory. */
const MAX_EXTENTS = 1 << 20;
/** Most bytes of holes of all sparse files of an archive together: a header of 1 kB states them. */
const MAX_HOLES_SIZE = 64 * 2 ** 30;
/** Most digits of a number of a map: those of 2^53. */
const MAX_DIGITS = 16;
const NEWLINE = 0x0a;

/** A part of a file that has data. */
export interface Extent {
  /** In the expanded file. */
  readonly offset: number;
  /** In bytes; never 0. */
  readonly length: number;
}

/** The records of an extended header that describe a sparse file. */
export interface SparseRecords {
  /** The name of the file: PAX 0.1 and 1.0 give the entry another one. */
  name?: string;
  major?: number;
  minor?: number;
  /** Size of the expanded file. */
  size?: number;
  /** Number of extents. */
  count?: number;
  /** Offset and length of each extent. */
  readonly numbers: number[];
}

/** Reads one record, whose keyword is `GNU.sparse.` and `key`. Ignores unknown ones. */
export function readSparseRecord(records: SparseRecords, key: string, value: Buffer): void {
  const { numbers } = records;
  const text = value.toString('latin1');
  const number = () => decodeDecimal(text, `pax GNU.sparse.${key}`);
  switch (key) {
    case 'name':
      records.name = decodeText(value, 'pax GNU.sparse.name');
      break;
    case 'major':
    case 'minor':
      records[key] = number();
      break;
    case 'size':
    case 'realsize':
      records.size = number();
      break;
    case 'numblocks':
      records.count = number();
      break;
    case 'offset':
    case 'numbytes':
      if (numbers.length % 2 !== (key === 'offset' ? 0 : 1)) {
        throw corrupt('an offset without a length');
      }
      numbers.push(number());
      break;
    case 'map':
      for (const each of text.split(',')) {
        numbers.push(decodeDecimal(each, 'pax GNU.sparse.map'));
      }
  }
}

/** The map of a sparse file, parts of which may still be to come. */
export abstract class SparseMap {
  readonly extents: Extent[] = [];
  /** Size of the expanded file. */
  readonly size: number;
  /** Where the last extent ends. */
  #end = 0;

  constructor(size: number) {
    this.size = size;
  }

  /** Whether another block of the archive belongs to the map. */
  abstract readonly needsBlock: boolean;
  /** Bytes of stored content that belong to the map. */
  abstract readonly storedSize: number;
  /** Reads the next block. */
  abstract read(block: Buffer): void;

  /** Bytes of data, all extents together. */
  get dataSize(): number {
    return this.extents.reduce((sum, { length }) => sum + length, 0);
  }

  /** Adds an extent. Throws `CORRUPT` unless it lies behind the last one and within the file. */
  protected add(offset: number, length: number): void {
    if (offset < this.#end || length > this.size - offset) {
      const extent = `${length} bytes at ${offset} of ${this.size}`;
      throw corrupt(`its extents overlap or exceed its size: ${extent}`);
    }
    this.#end = offset + length;
    // GNU tar states a hole at the end by an extent without bytes.
    if (length === 0) {
      return;
    }
    if (this.extents.length === MAX_EXTENTS) {
      throw tooManyExtents();
    }
    this.extents.push({ offset, length });
  }
}

/** The map in an old GNU header and in the blocks behind it. */
export class OldGnuMap extends SparseMap {
  needsBlock = false;
  readonly storedSize = 0;

  constructor(header: Buffer) {
    super(readNumber(header, REAL_SIZE));
    this.#readExtents(header, FIRST_EXTENTS);
  }

  read(block: Buffer): void {
    this.#readExtents(block, MORE_EXTENTS);
  }

  #readExtents(block: Buffer, { offset, count, isExtended }: ExtentFields): void {
    this.needsBlock = block[isExtended] !== 0;
    for (let i = 0; i < count; i++) {
      const at = offset + i * EXTENT_SIZE;
      if (block[at] === 0) {
        return;
      }
      const start = readNumber(block, { offset: at, size: 12, label: 'sparse offset' });
      const length = readNumber(block, { offset: at + 12, size: 12, label: 'sparse length' });
      this.add(start, length);
    }
  }
}

/** Where a block of an old GNU map has its extents. */
interface ExtentFields {
  readonly offset: number;
  readonly count: number;
  /** Offset of the byte that says whether another block follows. */
  readonly isExtended: number;
}

const EXTENT_SIZE = 24;
const FIRST_EXTENTS: ExtentFields = { offset: 386, count: 4, isExtended: 482 };
const MORE_EXTENTS: ExtentFields = { offset: 0, count: 21, isExtended: 504 };
const REAL_SIZE: Field = { offset: 483, size: 12, label: 'real size' };

/** The map of PAX 0.0 and 0.1, which is in the records. */
class RecordsMap extends SparseMap {
  readonly needsBlock = false;
  readonly storedSize = 0;

  constructor(size: number, { count, numbers }: SparseRecords) {
    super(size);
    if (count === undefined || numbers.length !== 2 * count) {
      throw corrupt(`${numbers.length} offsets and lengths of ${count} extents`);
    }
    for (let i = 0; i < numbers.length; i += 2) {
      this.add(numbers[i] ?? 0, numbers[i + 1] ?? 0);
    }
  }

  read(): void {}
}

/** The map of PAX 1.0, at the start of the stored content. */
class ContentMap extends SparseMap {
  storedSize = 0;
  /** Extents that are still to come; undefined until their number has been read. */
  #count: number | undefined;
  #offset: number | undefined;
  #digits = '';

  get needsBlock(): boolean {
    return this.#count !== 0;
  }

  read(block: Buffer): void {
    this.storedSize += TAR_BLOCK;
    let at = 0;
    while (this.needsBlock && at < block.length) {
      const newline = block.indexOf(NEWLINE, at);
      const end = newline < 0 ? block.length : newline;
      this.#digits += block.toString('latin1', at, end);
      at = end + 1;
      const isTooLong = this.#digits.length > MAX_DIGITS;
      if (newline >= 0 || isTooLong) {
        this.#number(decodeDecimal(this.#digits, 'sparse map'));
        this.#digits = '';
      }
    }
  }

  #number(number: number): void {
    if (this.#count === undefined) {
      this.#count = number;
    } else if (this.#offset === undefined) {
      this.#offset = number;
    } else {
      this.add(this.#offset, number);
      this.#offset = undefined;
      this.#count--;
    }
  }
}

/**
 * Returns the map that records of an extended header describe. Throws `UNSUPPORTED` for an unknown
 * version, and for records without a map: some programs take the name in them, others do not.
 */
export function sparseMapOfRecords(records: SparseRecords): SparseMap {
  const { major, minor, size, numbers } = records;
  const isVersionStated = major !== undefined || minor !== undefined;
  const version = isVersionStated ? `${major}.${minor}` : '0';
  const isKnown = /^(0|0\.[01]|1\.0)$/.test(version);
  const isInContent = version === '1.0';
  if (!isKnown || isInContent === numbers.length > 0) {
    const map = numbers.length > 0 ? 'with' : 'without';
    throw new OstrataError(
      'UNSUPPORTED',
      `sparse file of version ${version} ${map} a map in its extended header`,
    );
  }
  if (size === undefined) {
    throw corrupt('its extended header does not state its size');
  }
  return isInContent ? new ContentMap(size) : new RecordsMap(size, records);
}

/** Bounds the sparse files of one archive together. */
export class SparseLimits {
  #extents = 0;
  #holesSize = 0;

  /** Counts a file. Throws `LIMIT` if all files have too many extents or too large holes. */
  add({ size, extents, dataSize }: SparseMap): void {
    this.#extents += extents.length;
    if (this.#extents > MAX_EXTENTS) {
      throw tooManyExtents();
    }
    this.#holesSize += size - dataSize;
    if (this.#holesSize > MAX_HOLES_SIZE) {
      const rule = `its sparse files have holes of more than ${MAX_HOLES_SIZE} bytes`;
      throw new OstrataError('LIMIT', `tar archive expands without end: ${rule}`);
    }
  }
}

/** Says what of a sparse file comes next while its content is read. */
export class SparseCursor {
  readonly #extents: readonly Extent[];
  readonly #size: number;
  #next = 0;
  #position = 0;

  constructor(extents: readonly Extent[], size: number) {
    this.#extents = extents;
    this.#size = size;
  }

  /** Bytes of the hole that comes next; 0 if data does, or nothing. */
  get hole(): number {
    const offset = this.#extents[this.#next]?.offset ?? this.#size;
    return Math.max(offset - this.#position, 0);
  }

  /** Bytes of data up to the next hole. */
  get data(): number {
    const extent = this.#extents[this.#next];
    return extent === undefined ? 0 : extent.offset + extent.length - this.#position;
  }

  /** Moves on by a part of the hole or of the data. */
  advance(length: number): void {
    this.#position += length;
    if (this.hole === 0 && this.data === 0) {
      this.#next++;
    }
  }
}

function tooManyExtents(): OstrataError {
  const rule = `its sparse files have more than ${MAX_EXTENTS} extents`;
  return new OstrataError('LIMIT', `tar archive: ${rule}`);
}

function corrupt(rule: string): OstrataError {
  return new OstrataError('CORRUPT', `sparse file: ${rule}`);
}
