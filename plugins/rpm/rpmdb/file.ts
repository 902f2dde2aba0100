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
  /** Symlink target, byte for byte; empty for what is no symlink. A new array on every access. */
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
  if (count === 0) {
    return;
  }
  const column = <T>(tag: number, values: readonly T[] | undefined): readonly T[] | undefined => {
    if (values !== undefined && values.length !== count) {
      throw new OstrataError(
        'CORRUPT',
        `rpm header: tag ${tag}: ${values.length} values for ${count} files`,
      );
    }
    return values;
  };
  const numbers = (tag: number) => column(tag, header.numbers(tag));
  const strings = (tag: number) => column(tag, header.byteStrings(tag));
  const sizes = numbers(Tag.LONGFILESIZES) ?? numbers(Tag.FILESIZES);
  const modes = numbers(Tag.FILEMODES);
  const mtimes = numbers(Tag.FILEMTIMES);
  const flags = numbers(Tag.FILEFLAGS);
  const states = numbers(Tag.FILESTATES);
  const digests = strings(Tag.FILEDIGESTS);
  const links = strings(Tag.FILELINKTOS);
  const users = strings(Tag.FILEUSERNAME);
  const groups = strings(Tag.FILEGROUPNAME);
  const algorithm = header.number(Tag.FILEDIGESTALGO) ?? MD5;
  const digestAlgorithm = DIGEST_ALGORITHMS[algorithm] ?? `unknown-${algorithm}`;
  for (let i = 0; i < count; i++) {
    yield new DecodedRpmFile(paths.at(i), links?.[i] ?? '', {
      size: sizes?.[i] ?? 0,
      mode: modes?.[i] ?? 0,
      digest: digests?.[i] ?? '',
      digestAlgorithm,
      flags: flags?.[i] ?? 0,
      user: lossyName(users?.[i] ?? ''),
      group: lossyName(groups?.[i] ?? ''),
      mtime: mtimes?.[i] ?? 0,
      state: fileState(states?.[i]),
    });
  }
}

/** By its number in the database; undefined where the package has no states. */
export function fileState(state = 0): FileState {
  return STATES[state] ?? 'missing';
}

export function isInstalled(state: FileState): boolean {
  return state === 'normal' || state === 'net-shared';
}

/** The paths of a package's files, one character per byte, in the header's order. */
export interface FilePaths {
  readonly count: number;
  /** The last component, or the whole path where the header has no directories (rpm 3). */
  base(i: number): string;
  at(i: number): string;
}

/** File names, stored as directory index and base name (rpm 4) or as whole paths (OLDFILENAMES, rpm 3). */
export function pathsOf(header: RpmHeader): FilePaths {
  const bases = header.byteStrings(Tag.BASENAMES);
  if (bases === undefined) {
    const whole = header.byteStrings(Tag.OLDFILENAMES) ?? [];
    const at = (i: number) => checkLength(whole[i] as string);
    return { count: whole.length, base: at, at };
  }
  const dirs = header.byteStrings(Tag.DIRNAMES) ?? [];
  const indexes = header.numbers(Tag.DIRINDEXES) ?? [];
  if (indexes.length !== bases.length) {
    throw new OstrataError(
      'CORRUPT',
      `rpm header: ${indexes.length} directory indexes for ${bases.length} files`,
    );
  }
  const at = (i: number) => {
    const dir = dirs[indexes[i] as number];
    if (dir === undefined) {
      throw new OstrataError(
        'CORRUPT',
        `rpm header: file ${i}: directory ${indexes[i]} of ${dirs.length}`,
      );
    }
    return checkLength(dir + bases[i]);
  };
  return { count: bases.length, base: (i) => bases[i] as string, at };
}

function checkLength(path: string): string {
  if (path.length > MAX_PATH_BYTES) {
    throw new OstrataError(
      'LIMIT',
      `rpm header: path of ${path.length} bytes, at most ${MAX_PATH_BYTES}`,
    );
  }
  return path;
}

type Attributes = Omit<RpmFile, 'path' | 'pathBytes' | 'linkTo' | 'isGhost' | 'isInstalled'>;

class DecodedRpmFile implements RpmFile {
  /** One character per byte, as {@link #link}. */
  readonly #path: string;
  readonly #link: string;
  readonly size: number;
  readonly mode: number;
  readonly digest: string;
  readonly digestAlgorithm: string;
  readonly flags: number;
  readonly user: string;
  readonly group: string;
  readonly mtime: number;
  readonly state: FileState;

  constructor(path: string, link: string, attributes: Attributes) {
    this.#path = path;
    this.#link = link;
    this.size = attributes.size;
    this.mode = attributes.mode;
    this.digest = attributes.digest;
    this.digestAlgorithm = attributes.digestAlgorithm;
    this.flags = attributes.flags;
    this.user = attributes.user;
    this.group = attributes.group;
    this.mtime = attributes.mtime;
    this.state = attributes.state;
  }

  get path(): string | undefined {
    return NON_ASCII.test(this.#path) ? decodeUtf8(this.pathBytes) : this.#path;
  }
  get pathBytes(): Uint8Array {
    return Buffer.from(this.#path, 'latin1');
  }
  get linkTo(): Uint8Array {
    return Buffer.from(this.#link, 'latin1');
  }
  get isGhost(): boolean {
    return (this.flags & FileFlag.GHOST) !== 0;
  }
  get isInstalled(): boolean {
    return isInstalled(this.state);
  }
}

const NON_ASCII = /[^\0-\x7f]/;

/** The text of a name given with one character per byte; U+FFFD for what is not UTF-8. */
function lossyName(name: string): string {
  return NON_ASCII.test(name) ? lossyText(Buffer.from(name, 'latin1')) : name;
}
