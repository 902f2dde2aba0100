/**
 * Dirtree objects, the entries of directories: `(a(say)a(sayay))` = files (name, content checksum),
 * directories (name, dirtree checksum, dirmeta checksum); each list is sorted by the bytes of the
 * names. Source: ostree-core.h, OSTREE_TREE_GVARIANT_STRING.
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

/** A regular file or symlink. */
export interface DirtreeFile {
  readonly name: string;
  /** Checksum of the content object. */
  readonly checksum: string;
}

/** A subdirectory, by the checksums of its two objects. */
export interface DirtreeDir {
  readonly name: string;
  readonly dirtree: string;
  readonly dirmeta: string;
}

/**
 * Decodes a dirtree object. Throws `CORRUPT` unless its names are path components, sorted and
 * unique.
 */
export function decodeDirtree(bytes: Uint8Array): Dirtree {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const [files, dirs] = split<[Buffer, Buffer]>(DIRTREE_TYPE, buffer);
  const dirtree: Dirtree = {
    files: split<Buffer[]>(FILES_TYPE, files).map(decodeFile),
    dirs: split<Buffer[]>(DIRS_TYPE, dirs).map(decodeDir),
  };

  checkEntries(dirtree);
  return dirtree;
}

/** Encodes a dirtree object. Throws `CORRUPT` for names that {@link decodeDirtree} would refuse. */
export function encodeDirtree(dirtree: Dirtree): Uint8Array {
  checkEntries(dirtree);
  const files = dirtree.files.map(({ name, checksum }) => [name, checksumToBytes(checksum)]);
  const dirs = dirtree.dirs.map((dir) => [
    dir.name,
    checksumToBytes(dir.dirtree),
    checksumToBytes(dir.dirmeta),
  ]);
  return encode(DIRTREE_TYPE, [files, dirs]);
}

function checkEntries({ files, dirs }: Dirtree): void {
  checkNames(files);
  checkNames(dirs);
  const fileNames = new Set(files.map((file) => file.name));
  for (const { name } of dirs) {
    if (fileNames.has(name)) {
      throw new OstrataError('CORRUPT', `${JSON.stringify(name)} is a file and a directory`);
    }
  }
}

function decodeFile(bytes: Buffer): DirtreeFile {
  const name = shortAsciiName(bytes, 1);
  if (name !== undefined) {
    return { name, checksum: checksumAt(bytes, name.length + 1) };
  }
  const [text, checksum] = decode<[string, Uint8Array]>(FILE_TYPE, bytes);
  return { name: text, checksum: checksumFromBytes(checksum) };
}

function decodeDir(bytes: Buffer): DirtreeDir {
  const name = shortAsciiName(bytes, 2);
  if (name !== undefined) {
    const at = name.length + 1;
    const dirmeta = checksumAt(bytes, at + CHECKSUM_BYTES);
    return { name, dirtree: checksumAt(bytes, at), dirmeta };
  }
  const [text, dirtree, dirmeta] = decode<[string, Uint8Array, Uint8Array]>(DIR_TYPE, bytes);
  return {
    name: text,
    dirtree: checksumFromBytes(dirtree),
    dirmeta: checksumFromBytes(dirmeta),
  };
}

/**
 * Reads the name of a member faster than the general decoder, because a tree has a member for each
 * of its files. Returns undefined unless the member is short and its name ASCII, as in nearly all
 * cases; any other member is left to the general decoder.
 * @param checksums how many checksums follow the name and its NUL
 */
function shortAsciiName(bytes: Buffer, checksums: 1 | 2): string | undefined {
  const { length } = bytes;
  // In a container of up to 255 bytes a framing offset is one byte. The first one is the last byte.
  const nameEnd = length - checksums * (CHECKSUM_BYTES + 1);
  const isFramed =
    bytes[length - 1] === nameEnd &&
    (checksums === 1 || bytes[length - 2] === nameEnd + CHECKSUM_BYTES);
  if (length > 0xff || !isFramed || bytes[nameEnd - 1] !== 0) {
    return undefined;
  }
  const name = bytes.toString('latin1', 0, nameEnd - 1);
  return name !== '' && isPrintableAscii(name) ? name : undefined;
}

function checksumAt(bytes: Buffer, offset: number): string {
  return bytes.toString('hex', offset, offset + CHECKSUM_BYTES);
}

function checkNames(entries: readonly { readonly name: string }[]): void {
  let previous: string | undefined;
  for (const { name } of entries) {
    if (name === '' || name === '.' || name === '..' || name.includes('/')) {
      throw new OstrataError('CORRUPT', `directory entry named ${JSON.stringify(name)}`);
    }
    if (previous !== undefined && compareUtf8(previous, name) >= 0) {
      const pair = `${JSON.stringify(previous)} and ${JSON.stringify(name)}`;
      throw new OstrataError('CORRUPT', `directory entries ${pair} are not in ascending order`);
    }
    previous = name;
  }
}
