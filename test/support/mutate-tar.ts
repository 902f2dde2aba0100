/**
 * Random changes of tar archives, for fuzzers: of their entries, which stay well-formed, and of
 * their bytes.
 */

import type { Extent } from '../../src/tar/sparse.js';
import type { ForgedEntry } from './forge-image.js';
import { damaged, pick, type Random } from './random-damage.js';
import { encodeSparse, SPARSE_FORM_NAMES } from './sparse-tar.js';

const BLOCK = 512;
const NAMES = [
  '.',
  './',
  '/',
  '..',
  'usr/..',
  'usr/../../x',
  '/usr/absolute',
  'usr//twice',
  './usr/dotted',
  'etc',
  'etc/file',
  'dev/null',
  'usr/new/deep/path',
  'usr/.wh.first',
  'usr/.wh.',
  'usr/.wh..wh..opq',
  '.wh.usr',
  '.wh..wh.x',
  'usr/line\nbreak',
  'usr/back\\slash',
  'usr/\u00e9',
  ' ',
  'usr/ space ',
  `usr/${'n'.repeat(255)}`,
  `usr/${'n'.repeat(256)}`,
  `${'d/'.repeat(1000)}x`,
  `${'d/'.repeat(2100)}x`,
  'sysroot/ostree/repo/config',
  'sysroot/ostree/repo/objects/zz/x.file',
];
const TYPES: readonly ForgedEntry['type'][] = [
  'file',
  'link',
  'symlink',
  'directory',
  'character device',
  'block device',
  'fifo',
];
const NUMBERS = [0, 1, 0o777, 0o4755, 0o7777, 2 ** 21 - 1, 2 ** 21, 2 ** 31, 2 ** 32 - 1];
const XATTR_NAMES = [
  'user.a',
  'security.capability',
  'security.selinux',
  'trusted.x',
  'nospace',
  '',
];

/** Changes one thing in the entries of a layer. */
export function mutateEntries(entries: ForgedEntry[], random: Random): void {
  const at = random(Math.max(1, entries.length));
  const entry = entries[at];
  if (entry === undefined) {
    entries.push({ name: pick(NAMES, random), type: 'directory' });
    return;
  }

  const changes: readonly (() => void)[] = [
    () => entries.splice(at, 1),
    () => entries.splice(random(entries.length), 0, { ...entry }),
    () => entries.push(...entries.splice(at, 1)),
    () => entries.unshift(...entries.splice(at, 1)),
    () => entries.splice(random(entries.length), 0, newEntry(entries, random)),
    () => entries.push(newEntry(entries, random)),
    () => Object.assign(entry, changedMember(entry, entries, random)),
    () => Object.assign(entry, changedMember(entry, entries, random)),
  ];
  pick(changes, random)();
}

const nameFor = (entries: readonly ForgedEntry[], random: Random): string =>
  random(2) === 0 ? pick(NAMES, random) : pick(entries, random).name;

function newEntry(entries: readonly ForgedEntry[], random: Random): ForgedEntry {
  const type = pick(TYPES, random);
  const isLink = type === 'link' || type === 'symlink';
  return {
    name: nameFor(entries, random),
    type,
    linkname: isLink ? nameFor(entries, random) : '',
    content: Buffer.from(type === 'file' ? 'new' : ''),
  };
}

function changedMember(
  { name, content = Buffer.alloc(0) }: ForgedEntry,
  entries: readonly ForgedEntry[],
  random: Random,
): Partial<ForgedEntry> {
  const changes: readonly (() => Partial<ForgedEntry>)[] = [
    () => ({ name: nameFor(entries, random) }),
    () => ({ name: `${name}/${pick(NAMES, random)}` }),
    () => ({ type: pick(TYPES, random) }),
    () => ({ linkname: nameFor(entries, random) }),
    () => ({ mode: pick(NUMBERS, random) & 0o7777 }),
    () => ({ uid: pick(NUMBERS, random) }),
    () => ({ gid: pick(NUMBERS, random) }),
    () => ({ size: pick([...NUMBERS, 2 ** 40], random) }),
    () => ({ content: damaged(content, random) }),
    () => ({ xattrs: new Map([[pick(XATTR_NAMES, random), Buffer.from('value')]]) }),
  ];
  return pick(changes, random)();
}

interface Field {
  readonly offset: number;
  readonly size: number;
}

/** The fields of a header block that hold numbers or decide how it is read. */
const FIELDS: readonly Field[] = [
  { offset: 0, size: 100 },
  { offset: 100, size: 8 },
  { offset: 108, size: 8 },
  { offset: 116, size: 8 },
  { offset: 124, size: 12 },
  { offset: 136, size: 12 },
  { offset: 156, size: 1 },
  { offset: 157, size: 100 },
  { offset: 257, size: 8 },
  { offset: 329, size: 8 },
  { offset: 337, size: 8 },
  { offset: 345, size: 155 },
];
const FIELD_TEXTS = [
  '',
  '0',
  ' 12 ',
  '-1',
  '8',
  '00000000000000',
  '77777777777777',
  '0000012\0junk',
  '\x80\0\0\0\0\0\0\0\0\0\0\x01',
  '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff',
  '\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff',
  'ustar\0' + '00',
  'ustar  \0',
  'x',
  'g',
  'L',
  'K',
  'S',
  'V',
  'usr/',
  'usr/\xc3',
];
const SPARSE_SIZES = [0, 1, BLOCK, 2 ** 20, 2 ** 40];
const RECORDS = [
  'path=usr/renamed',
  'path=',
  'path=usr/a\0b',
  'path=../x',
  'linkpath=usr/first',
  'size=0',
  'size=3',
  'size=99999999999',
  'size=-1',
  'uid=5',
  'uid=4294967296',
  'mtime=1.5',
  'mtime=x',
  'SCHILY.xattr.user.a=1',
  'SCHILY.xattr.=1',
  'LIBARCHIVE.xattr.user.a=MQ',
  'LIBARCHIVE.xattr.user.a=*',
  'GNU.sparse.major=1',
  'GNU.sparse.realsize=100',
  'GNU.sparse.name=usr/sparse',
  'hdrcharset=BINARY',
  'charset=ISO-IR 8859 1',
  'comment=any',
  'unknown',
];

/** Changes one thing in the bytes of an archive; checksums of headers are mostly true. */
export function mutateTar(tar: Uint8Array, random: Random): Uint8Array {
  const headers = headerOffsets(tar);
  const at = headers.length > 0 ? pick(headers, random) : 0;
  const rest = tar.subarray(at);
  const before = tar.subarray(0, at);
  const zeros = Buffer.alloc(BLOCK);
  const changes: readonly (() => Uint8Array)[] = [
    () => damaged(tar, random),
    () => Buffer.concat([before, changedHeader(rest, random)]),
    () => Buffer.concat([before, changedHeader(rest, random)]),
    () => Buffer.concat([before, changedHeader(rest, random)]),
    () => Buffer.concat([before, extendedHeader(random), rest]),
    () => Buffer.concat([before, extendedHeader(random), rest]),
    () => Buffer.concat([before, sparseEntry(random), rest]),
    () => Buffer.concat([before, sparseEntry(random), rest]),
    () => Buffer.concat([before, zeros, rest]),
    () => Buffer.concat([before, rest.subarray(BLOCK)]),
    () => tar.subarray(0, random(tar.length)),
    () => tar.subarray(0, tar.length - BLOCK),
    () => tar.subarray(0, tar.length - 2 * BLOCK),
    () => Buffer.concat([tar, damaged(tar.subarray(0, BLOCK), random)]),
    () => Buffer.concat([tar, Buffer.alloc(random(20 * BLOCK))]),
  ];
  return pick(changes, random)();
}

/** Where blocks begin that state their own checksum: headers, unless the content looks like one. */
function headerOffsets(tar: Uint8Array): readonly number[] {
  const offsets: number[] = [];
  for (let at = 0; at + BLOCK <= tar.length; at += BLOCK) {
    const block = Buffer.from(tar.subarray(at, at + BLOCK));
    const stated = block.toString('latin1', 148, 156);
    if (stated !== '\0'.repeat(8) && Number.parseInt(stated, 8) === checksumOf(block)) {
      offsets.push(at);
    }
  }
  return offsets;
}

/** The archive with another value in a field of its first header. */
function changedHeader(tar: Uint8Array, random: Random): Uint8Array {
  const copy = Buffer.from(tar);
  if (copy.length < BLOCK) {
    return copy;
  }
  const { offset, size } = pick(FIELDS, random);
  const text = pick(FIELD_TEXTS, random);
  copy.fill(0, offset, offset + size);
  copy.write(text.slice(0, size), offset, 'latin1');
  stateChecksum(copy);
  return copy;
}

/** A header of PAX or GNU tar with its body. */
function extendedHeader(random: Random): Uint8Array {
  const flag = pick(['x', 'x', 'x', 'x', 'g', 'L', 'K'], random);
  const text = pick(RECORDS, random);
  const body = Buffer.from(flag === 'L' || flag === 'K' ? `${text}\0` : paxRecord(text, random));
  const header = Buffer.alloc(BLOCK);
  header.write('extended', 0);
  header.write(['0000644', '0000000', '0000000', ''].join('\0'), 100);
  header.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write(flag, 156);
  header.write('ustar', 257);
  header.write('00', 263);
  stateChecksum(header);
  const padding = Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK);
  return Buffer.concat([header, body, padding]);
}

/** A sparse file in a form of GNU tar, whose map is mostly sound. */
function sparseEntry(random: Random): Uint8Array {
  // More extents than a header block of GNU tar and the block after it hold.
  const count = random(30);
  const extents: Extent[] = [];
  let end = 0;
  for (let i = 0; i < count; i++) {
    const offset = end + random(3) * BLOCK;
    const length = random(2 * BLOCK);
    extents.push({ offset, length });
    end = offset + length;
  }
  const stored = extents.reduce((total, { length }) => total + length, 0);
  const size = end + random(2) * BLOCK;
  const form = pick(SPARSE_FORM_NAMES, random);
  const file = { name: 'usr/sparse', extents, size, data: Buffer.alloc(stored, 'data') };

  const changes: readonly (() => Uint8Array)[] = [
    () => encodeSparse(file, form),
    () => encodeSparse(file, form),
    () => encodeSparse({ ...file, size: pick(SPARSE_SIZES, random) }, form),
    () => encodeSparse({ ...file, extents: extents.toReversed() }, form),
    () => encodeSparse({ ...file, extents: [...extents, ...extents.slice(-1)] }, form),
    () => encodeSparse({ ...file, data: file.data.subarray(random(stored + 1)) }, form),
    () => changedHeader(encodeSparse(file, form), random),
    () => damaged(encodeSparse(file, form), random),
  ];
  return pick(changes, random)();
}

/** A record whose stated length is mostly true. */
function paxRecord(text: string, random: Random): string {
  const rest = ` ${text}\n`;
  let length = rest.length + 1;
  length = rest.length + `${length}`.length;
  length = rest.length + `${length}`.length;
  const stated = random(8) === 0 ? pick([0, 1, length - 1, length + 1, 99], random) : length;
  return `${stated}${rest}`;
}

function stateChecksum(block: Buffer): void {
  const text = checksumOf(block).toString(8).padStart(6, '0');
  block.write(`${text}\0 `, 148, 'latin1');
}

/** The sum of a header block, in which the checksum counts as spaces. */
function checksumOf(block: Buffer): number {
  const bytes = Buffer.from(block.subarray(0, BLOCK)).fill(' ', 148, 156);
  return bytes.reduce((total, byte) => total + byte, 0);
}
