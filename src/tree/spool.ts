/**
 * A folder with the uncompressed tars of an image's layers, from which files are read by their
 * checksums:
 *
 *     layer-N.tar   the tar of layer N, or a symlink to it; may be absent
 *     content       where in the tars the content of each file is
 *
 * `content` has a record of {@link RECORD_SIZE} bytes for each file, sorted by checksum: 32 bytes
 * checksum, u32 layer, u64 offset in the tar, u64 offset in `content` of the list of extents, 0
 * unless the file is sparse. The lists follow the records: u32 number, then each: u64 offset in the
 * file, u64 length. All numbers are big-endian; the number of records, u32, comes first.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ByteWriter } from '../bytes/byte-writer.js';
import { Cursor } from '../bytes/cursor.js';
import type { BufferSource } from '../bytes/stream.js';
import { errnoOf, inContext, messageOf, OstrataError } from '../errors.js';
import { CHECKSUM_BYTES } from '../ostree/objects/object-name.js';
import { CHUNK_SIZE, readChunks } from '../system/file-chunks.js';
import type { Extent } from '../tar/sparse.js';
import type { IndexedFile } from './layer-index.js';

const CONTENT_FILE = 'content';
const HEADER_SIZE = 4;
const RECORD_SIZE = CHECKSUM_BYTES + 4 + 8 + 8;

/** Where the content of a file lies. */
export interface SpooledFile {
  /** Index of the layer in the manifest. */
  readonly layer: number;
  readonly entry: IndexedFile;
}

/** What to do about a spool for which there is too little space. */
export const SPACE_ADVICE = '--spool or TMPDIR names another folder';
const NO_SPACE: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT']);

/** Runs `body`, which writes to a spool. The error for a full disk says what to do about it. */
export function writingSpool<T>(body: () => T): T {
  return inContext('writing', () => {
    try {
      return body();
    } catch (error) {
      if (NO_SPACE.has(errnoOf(error))) {
        throw new OstrataError('IO', `${messageOf(error)}; ${SPACE_ADVICE}`, { cause: error });
      }
      throw error;
    }
  });
}

/** Returns the path of a layer's tar. */
export function spooledTar(directory: string, layer: number): string {
  return join(directory, `layer-${layer}.tar`);
}

/** Writes the file `content`. */
export function writeSpoolContent(directory: string, files: readonly SpooledFile[]): void {
  const byChecksum = new Map(files.map((file) => [file.entry.checksum, file]));
  const sorted = [...byChecksum].sort(([a], [b]) => (a < b ? -1 : 1));
  const records = new ByteWriter();
  const lists = new ByteWriter();
  const listsStart = HEADER_SIZE + sorted.length * RECORD_SIZE;

  records.u32(sorted.length);
  for (const [checksum, { layer, entry }] of sorted) {
    records.bytes(Buffer.from(checksum, 'hex'));
    records.u32(layer);
    records.i64(entry.offset);
    records.i64(entry.extents === undefined ? 0 : listsStart + lists.length);
    if (entry.extents !== undefined) {
      writeExtents(lists, entry.extents);
    }
  }
  const bytes = Buffer.concat([records.finish(), lists.finish()]);
  writingSpool(() => writeFileSync(join(directory, CONTENT_FILE), bytes));
}

function writeExtents(out: ByteWriter, extents: readonly Extent[]): void {
  out.u32(extents.length);
  for (const { offset, length } of extents) {
    out.i64(offset);
    out.i64(length);
  }
}

/** Reads files of a spool; their tars have to be there when they are read. */
export class Spool {
  readonly #directory: string;
  readonly #content: Buffer;
  readonly #count: number;

  /** Throws `NOT_FOUND` if there is no spool in `directory`. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#content = inContext('reading', () => readFileSync(join(directory, CONTENT_FILE)));
    this.#count = this.#cursor(0).u32();
  }

  /**
   * Yields the content of the file with this checksum, as it is in the tar.
   * @param buffers memory for the chunks, asked for before each
   */
  *read(checksum: string, size: number, buffers?: BufferSource): Generator<Uint8Array> {
    const { layer, offset, extents } = this.#find(checksum);
    const path = spooledTar(this.#directory, layer);
    let at = 0;
    let position = offset;
    for (const extent of extents ?? [{ offset: 0, length: size }]) {
      yield* zeros(extent.offset - at);
      const range = { offset: position, length: extent.length, followSymlink: true, buffers };
      yield* readChunks(path, range);
      at = extent.offset + extent.length;
      position += extent.length;
    }
    yield* zeros(size - at);
  }

  #find(checksum: string) {
    const wanted = Buffer.from(checksum, 'hex');
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const start = HEADER_SIZE + middle * RECORD_SIZE;
      const order = wanted.compare(this.#content, start, start + CHECKSUM_BYTES);
      if (order === 0) {
        return this.#record(start + CHECKSUM_BYTES);
      }
      if (order < 0) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    throw new Error(`bug: no file with the checksum ${checksum} in ${this.#directory}`);
  }

  #record(start: number) {
    const cursor = this.#cursor(start);
    const layer = cursor.u32();
    const offset = Number(cursor.u64());
    const list = Number(cursor.u64());
    return { layer, offset, extents: list === 0 ? undefined : this.#extents(list) };
  }

  #extents(start: number): readonly Extent[] {
    const cursor = this.#cursor(start);
    const number = () => Number(cursor.u64());
    const count = cursor.u32();
    return Array.from({ length: count }, () => ({ offset: number(), length: number() }));
  }

  #cursor(start: number): Cursor {
    return new Cursor(this.#content, 'spool', start);
  }
}

const ZEROS = new Uint8Array(CHUNK_SIZE);

function* zeros(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= ZEROS.length) {
    yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
  }
}
