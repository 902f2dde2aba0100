/**
 * Dirtree objects: `(a(say)a(sayay))` = files (name, content checksum), directories (name, dirtree checksum, dirmeta
 * checksum); each list sorted by the bytes of its names. Source: ostree-core.h, OSTREE_TREE_GVARIANT_STRING.
 */
import { compareUtf8, isPrintableAscii } from '../../bytes/text.js';
import { OstrataError } from '../../errors.js';
import { decode, encode, split } from '../gvariant/value.js';
import { CHECKSUM_BYTES, checksumFromBytes, checksumToBytes } from './object-name.js';

const FILE_TYPE = '(say)';
const DIR_TYPE = '(sayay)';
const FILES_TYPE = `a${FILE_TYPE}`;
const DIRS_TYPE = `a${DIR_TYPE}`;
const DIRTREE_TYPE = `(${FILES_TYPE}${DIRS_TYPE})`;

export interface Dirtree {
  readonly files: readonly DirtreeFile[];
  readonly dirs: readonly DirtreeDir[];
}
export interface DirtreeFile {
  readonly name: string;
  readonly checksum: string;
}
export interface DirtreeDir {
  readonly name: string;
  readonly dirtree: string;
  readonly dirmeta: string;
}

/** Names are checked: path components, sorted, each once in the directory. */
export function decodeDirtree(bytes: Uint8Array): Dirtree {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const [files, dirs] = split(DIRTREE_TYPE, buffer) as [Buffer, Buffer];
  const dirtree: Dirtree = {
    files: split(FILES_TYPE, files).map((member) => {
      const [name, checksum] = decodeMember(FILE_TYPE, 1, member as Buffer) as [string, string];
      return { name, checksum };
    }),
    dirs: split(DIRS_TYPE, dirs).map((member) => {
      const [name, dirtree, dirmeta] = decodeMember(DIR_TYPE, 2, member as Buffer) as [
        string,
        string,
        string,
      ];
      return { name, dirtree, dirmeta };
    }),
  };
  checkNames(dirtree.files);
  checkNames(dirtree.dirs);
  const fileNames = new Set(dirtree.files.map((file) => file.name));
  for (const { name } of dirtree.dirs) {
    if (fileNames.has(name)) {
      throw new OstrataError('CORRUPT', `${JSON.stringify(name)} is a file and a directory`);
    }
  }
  return dirtree;
}

/** A name and the checksums behind it. Nearly all are short and ASCII: those are read by hand, as a tree has one for each file. */
function decodeMember(type: string, checksums: 1 | 2, bytes: Buffer): string[] {
  const { length } = bytes;
  const end = length - checksums * (CHECKSUM_BYTES + 1); // of the name with its NUL: framing offsets of a byte each
  const isFramed =
    bytes[length - 1] === end && (checksums === 1 || bytes[length - 2] === end + CHECKSUM_BYTES);
  const name =
    length <= 0xff && isFramed && bytes[end - 1] === 0 ? bytes.toString('latin1', 0, end - 1) : '';
  if (name === '' || !isPrintableAscii(name)) {
    const [text, ...values] = decode(type, bytes) as [string, ...Uint8Array[]];
    return [text, ...values.map(checksumFromBytes)];
  }
  const checksum = (at: number) => bytes.toString('hex', at, at + CHECKSUM_BYTES);
  return checksums === 1
    ? [name, checksum(end)]
    : [name, checksum(end), checksum(end + CHECKSUM_BYTES)];
}

export function encodeDirtree(dirtree: Dirtree): Uint8Array {
  checkNames(dirtree.files);
  checkNames(dirtree.dirs);
  return encode(DIRTREE_TYPE, [
    dirtree.files.map(({ name, checksum }) => [name, checksumToBytes(checksum)]),
    dirtree.dirs.map(({ name, dirtree: tree, dirmeta }) => [
      name,
      checksumToBytes(tree),
      checksumToBytes(dirmeta),
    ]),
  ]);
}

function checkNames(entries: readonly { readonly name: string }[]): void {
  let previous: string | undefined;
  for (const { name } of entries) {
    if (name === '' || name === '.' || name === '..' || name.includes('/')) {
      throw new OstrataError('CORRUPT', `directory entry named ${JSON.stringify(name)}`);
    }
    if (previous !== undefined && compareUtf8(previous, name) >= 0) {
      throw new OstrataError(
        'CORRUPT',
        `directory entries ${JSON.stringify(previous)} and ${JSON.stringify(name)} are not in ascending order`,
      );
    }
    previous = name;
  }
}
