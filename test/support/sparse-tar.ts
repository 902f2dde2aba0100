/** Encodes sparse files in all forms of GNU tar, and makes files with holes for GNU tar itself. */

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { encodeTarHeader, tarPadding } from '../../src/tar/header.js';
import { encodePaxRecord } from '../../src/tar/pax.js';
import type { Extent } from '../../src/tar/sparse.js';

/** The forms, and the options by which GNU tar writes them. */
export const SPARSE_FORMS = {
  gnu: ['--format=gnu'],
  '0.0': ['--format=posix', '--sparse-version=0.0'],
  '0.1': ['--format=posix', '--sparse-version=0.1'],
  '1.0': ['--format=posix', '--sparse-version=1.0'],
} as const;
export type SparseForm = keyof typeof SPARSE_FORMS;
export const SPARSE_FORM_NAMES = Object.keys(SPARSE_FORMS) as readonly SparseForm[];

export interface SparseFile {
  readonly name: string;
  readonly extents: readonly Extent[];
  /** Size of the expanded file. */
  readonly size: number;
  /** The data of all extents. */
  readonly data: Uint8Array;
}

const BLOCK = 512;
const EXTENTS_IN_HEADER = 4;
const EXTENTS_IN_BLOCK = 21;

/** The file with its holes. */
export function expand({ extents, size, data }: SparseFile): Buffer {
  const content = Buffer.alloc(size);
  let at = 0;
  for (const { offset, length } of extents) {
    content.set(data.subarray(at, at + length), offset);
    at += length;
  }
  return content;
}

/** Writes a file whose blocks of zeros are holes, if the file system has any. */
export function writeWithHoles(path: string, content: Buffer): void {
  const fd = openSync(path, 'w');
  for (let at = 0; at < content.length; at += 4096) {
    const block = content.subarray(at, at + 4096);
    if (block.some((byte) => byte !== 0)) {
      writeSync(fd, block, 0, block.length, at);
    }
  }
  ftruncateSync(fd, content.length);
  closeSync(fd);
}

/** The entry of a sparse file, with its headers. */
export function encodeSparse(file: SparseFile, form: SparseForm): Buffer {
  return form === 'gnu' ? encodeOldGnu(file) : encodePax(file, form);
}

function encodeOldGnu({ name, extents, size, data }: SparseFile): Buffer {
  const block = header(name, 'S', data.length);
  const blocks = [block];
  writeExtents(block, 386, extents.slice(0, EXTENTS_IN_HEADER));
  block.write(octal(size), 483, 'latin1');
  block[482] = extents.length > EXTENTS_IN_HEADER ? 1 : 0;
  for (let at = EXTENTS_IN_HEADER; at < extents.length; at += EXTENTS_IN_BLOCK) {
    const next = Buffer.alloc(BLOCK);
    const end = at + EXTENTS_IN_BLOCK;
    writeExtents(next, 0, extents.slice(at, end));
    next[504] = extents.length > end ? 1 : 0;
    blocks.push(next);
  }
  stateChecksum(block);
  return Buffer.concat([...blocks, data, tarPadding(data.length)]);
}

function writeExtents(block: Buffer, start: number, extents: readonly Extent[]): void {
  for (const [i, { offset, length }] of extents.entries()) {
    const at = start + i * 24;
    block.write(octal(offset), at, 'latin1');
    block.write(octal(length), at + 12, 'latin1');
  }
}

function encodePax(file: SparseFile, form: Exclude<SparseForm, 'gnu'>): Buffer {
  const { name, extents, size, data } = file;
  const numbers = extents.flatMap(({ offset, length }) => [offset, length]);
  const isInContent = form === '1.0';
  const map = isInContent ? [extents.length, ...numbers].map((each) => `${each}\n`).join('') : '';
  const stored = Buffer.concat([Buffer.from(map), tarPadding(map.length), data]);
  const records: Readonly<Record<typeof form, () => readonly (readonly [string, unknown])[]>> = {
    '0.0': () => [
      ['size', size],
      ['numblocks', extents.length],
      ...extents.flatMap(({ offset, length }) => [
        ['offset', offset] as const,
        ['numbytes', length] as const,
      ]),
    ],
    '0.1': () => [
      ['name', name],
      ['size', size],
      ['numblocks', extents.length],
      ['map', numbers.join(',')],
    ],
    '1.0': () => [
      ['major', 1],
      ['minor', 0],
      ['name', name],
      ['realsize', size],
    ],
  };
  return Buffer.concat([
    encodeSparseRecords(records[form]()),
    header(form === '0.0' ? name : `GNUSparseFile.1/${name}`, '0', stored.length),
    stored,
    tarPadding(stored.length),
  ]);
}

/** An extended header with records of sparse files. */
export function encodeSparseRecords(records: readonly (readonly [string, unknown])[]): Buffer {
  const encoded = records.map(([key, value]) =>
    encodePaxRecord(`GNU.sparse.${key}`, Buffer.from(String(value))),
  );
  const body = Buffer.concat(encoded);
  return Buffer.concat([header('pax', 'x', body.length), body, tarPadding(body.length)]);
}

/** The header block of an entry of any type; that of GNU tar for `S`, else that of POSIX. */
export function header(name: string, flag: string, size: number): Buffer {
  const entry = { name, type: 'file', mode: 0o644, uid: 0, gid: 0, size } as const;
  const block = Buffer.from(encodeTarHeader(entry));
  block.write(flag, 156, 'latin1');
  if (flag !== 'S') {
    block.write('ustar\x0000', 257, 'latin1');
  }
  stateChecksum(block);
  return block;
}

export function stateChecksum(block: Buffer): void {
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

const octal = (value: number) => value.toString(8).padStart(11, '0');
