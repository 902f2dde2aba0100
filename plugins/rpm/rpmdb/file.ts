import { decodeUtf8 } from '../../../src/bytes/text.js';
import { OstrataError } from '../../../src/errors.js';
import { lossyText, type RpmHeader } from './header.js';
import { Tag } from './tags.js';

/** Longer than any path Linux accepts (4096); bounds what a header of long directory names and many files can unfold to. */
const MAX_PATH_BYTES = 1 << 16;

/** What became of a file on installation (rpm's rpmfileState_e), by its number in the database. */
const STATES = ['normal', 'replaced', 'not-installed', 'net-shared', 'wrong-color'] as const;
export type FileState = (typeof STATES)[number] | 'missing';

/** Hash names by OpenPGP number, as FILEDIGESTALGO stores them (RFC 9580 9.5). */
const DIGEST_ALGORITHMS: Readonly<Record<number, string>> = {
  1: 'md5',
  2: 'sha1',
  3: 'ripemd160',
  8: 'sha256',
  9: 'sha384',
  10: 'sha512',
  11: 'sha224',
  12: 'sha3-256',
  14: 'sha3-512',
};
const MD5 = 1;

/** Bits of {@link RpmFile.flags} (rpm's rpmfileAttrs_e). */
export const FileFlag = {
  CONFIG: 1 << 0,
  DOC: 1 << 1,
  MISSINGOK: 1 << 3,
  NOREPLACE: 1 << 4,
  GHOST: 1 << 6,
  LICENSE: 1 << 7,
  README: 1 << 8,
  PUBKEY: 1 << 11,
  ARTIFACT: 1 << 12,
} as const;

/** One file entry of a package. */
export interface RpmFile {
  /** The path as text; undefined where it is not valid UTF-8. */
  readonly path: string | undefined;
  /** The path as the header has it, byte for byte. A new array on every access. */
  readonly pathBytes: Uint8Array;
  /** Bytes, as packaged; for a symlink the length of its target, for a directory whatever the build host said. */
  readonly size: number;
  /** `st_mode` with its type bits. */
  readonly mode: number;
  /** Hex digest of the content; empty where there is none (not a regular file, ghosts). */
  readonly digest: string;
  /** What {@link digest} was made with, e.g. `sha256`; `unknown-N` for an OpenPGP number N this table does not have. */
  readonly digestAlgorithm: string;
  /** See {@link FileFlag}. */
  readonly flags: number;
  readonly user: string;
  readonly group: string;
  /** Symlink target, byte for byte; empty for what is no symlink. */
  readonly linkTo: Uint8Array;
  /** Seconds since 1970, as packaged. */
  readonly mtime: number;
  readonly state: FileState;
  /** Owned, but not part of the package's payload: created at run time. */
  readonly isGhost: boolean;
  /** Whether rpm counts the file as installed and this package's (`rpm -qf`): not replaced, excluded or of the wrong colour. */
  readonly isInstalled: boolean;
}

/** The file entries of `header` in its order; decoded as they are asked for. Throws `CORRUPT` where lists do not match. */
export function* readFiles(header: RpmHeader): Generator<RpmFile> {
  const paths = pathsOf(header);
  const count = paths.count;
  if (count === 0) return;
  const column = <T>(tag: number, values: readonly T[] | undefined): readonly T[] | undefined => {
    if (values !== undefined && values.length !== count)
      throw new OstrataError('CORRUPT', `rpm header: tag ${tag}: ${values.length} values for ${count} files`);
    return values;
  };
  const numbers = (tag: number) => column(tag, header.numbers(tag));
  const strings = (tag: number) => column(tag, header.strings(tag));
  const sizes = numbers(Tag.LONGFILESIZES) ?? numbers(Tag.FILESIZES);
  const modes = numbers(Tag.FILEMODES);
  const mtimes = numbers(Tag.FILEMTIMES);
  const flags = numbers(Tag.FILEFLAGS);
  const states = numbers(Tag.FILESTATES);
  const digests = strings(Tag.FILEDIGESTS);
  const links = strings(Tag.FILELINKTOS);
  const users = strings(Tag.FILEUSERNAME)?.map(memoizedText());
  const groups = strings(Tag.FILEGROUPNAME)?.map(memoizedText());
  const algorithm = header.number(Tag.FILEDIGESTALGO) ?? MD5;
  const digestAlgorithm = DIGEST_ALGORITHMS[algorithm] ?? `unknown-${algorithm}`;
  for (let i = 0; i < count; i++) {
    const { dir, base } = paths.at(i);
    yield new FileEntry(dir, base, {
      size: sizes?.[i] ?? 0,
      mode: modes?.[i] ?? 0,
      digest: latin1(digests?.[i]),
      digestAlgorithm,
      flags: flags?.[i] ?? 0,
      user: users?.[i] ?? '',
      group: groups?.[i] ?? '',
      linkTo: links?.[i] ?? NO_BYTES,
      mtime: mtimes?.[i] ?? 0,
      state: STATES[states?.[i] ?? 0] ?? 'missing',
    });
  }
}

const NO_BYTES = new Uint8Array();

/** A directory name, decoded once for all its files. */
interface Dir {
  readonly bytes: Uint8Array;
  readonly text: string | undefined;
}
interface Paths {
  readonly count: number;
  at(i: number): { readonly dir: Dir; readonly base: Uint8Array };
}

/** File names, stored as directory index and base name (rpm 4) or as whole paths (OLDFILENAMES, rpm 3). */
function pathsOf(header: RpmHeader): Paths {
  const bases = header.strings(Tag.BASENAMES);
  if (bases === undefined) {
    const whole = header.strings(Tag.OLDFILENAMES) ?? [];
    const dir: Dir = { bytes: NO_BYTES, text: '' };
    return { count: whole.length, at: (i) => ({ dir, base: checkLength(whole[i] as Uint8Array, 0) }) };
  }
  const dirs = (header.strings(Tag.DIRNAMES) ?? []).map((bytes): Dir => ({ bytes, text: decodeUtf8(bytes) }));
  const indexes = header.numbers(Tag.DIRINDEXES) ?? [];
  if (indexes.length !== bases.length)
    throw new OstrataError('CORRUPT', `rpm header: ${indexes.length} directory indexes for ${bases.length} files`);
  const at = (i: number) => {
    const dir = dirs[indexes[i] as number];
    if (dir === undefined)
      throw new OstrataError('CORRUPT', `rpm header: file ${i}: directory ${indexes[i]} of ${dirs.length}`);
    return { dir, base: checkLength(bases[i] as Uint8Array, dir.bytes.length) };
  };
  return { count: bases.length, at };
}

function checkLength(base: Uint8Array, dirLength: number): Uint8Array {
  if (base.length + dirLength > MAX_PATH_BYTES)
    throw new OstrataError('LIMIT', `rpm header: path of ${base.length + dirLength} bytes, at most ${MAX_PATH_BYTES}`);
  return base;
}

type Attributes = Omit<RpmFile, 'path' | 'pathBytes' | 'isGhost' | 'isInstalled'>;

class FileEntry implements RpmFile {
  readonly #dir: Dir;
  readonly #base: Uint8Array;
  readonly size: number;
  readonly mode: number;
  readonly digest: string;
  readonly digestAlgorithm: string;
  readonly flags: number;
  readonly user: string;
  readonly group: string;
  readonly linkTo: Uint8Array;
  readonly mtime: number;
  readonly state: FileState;

  constructor(dir: Dir, base: Uint8Array, attributes: Attributes) {
    this.#dir = dir;
    this.#base = base;
    this.size = attributes.size;
    this.mode = attributes.mode;
    this.digest = attributes.digest;
    this.digestAlgorithm = attributes.digestAlgorithm;
    this.flags = attributes.flags;
    this.user = attributes.user;
    this.group = attributes.group;
    this.linkTo = attributes.linkTo;
    this.mtime = attributes.mtime;
    this.state = attributes.state;
  }

  get path(): string | undefined {
    const base = this.#dir.text === undefined ? undefined : decodeUtf8(this.#base);
    return base === undefined ? undefined : this.#dir.text + base;
  }
  get pathBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#dir.bytes.length + this.#base.length);
    bytes.set(this.#dir.bytes);
    bytes.set(this.#base, this.#dir.bytes.length);
    return bytes;
  }
  get isGhost(): boolean {
    return (this.flags & FileFlag.GHOST) !== 0;
  }
  get isInstalled(): boolean {
    return this.state === 'normal' || this.state === 'net-shared';
  }
}

/** Digests are hex: one byte, one character. */
function latin1(bytes: Uint8Array | undefined): string {
  return bytes === undefined || bytes.length === 0
    ? ''
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** Text of strings that mostly repeat the one before (owners). */
function memoizedText(): (bytes: Uint8Array) => string {
  let last: Uint8Array | undefined;
  let text = '';
  return (bytes) => {
    if (last === undefined || Buffer.compare(bytes, last) !== 0) {
      last = bytes;
      text = lossyText(bytes);
    }
    return text;
  };
}
