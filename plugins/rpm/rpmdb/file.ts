/**
 * The file entries of a package. The header has one tag for each attribute (a column), with one
 * value for each file; paths are stored as a base name and the index of a directory.
 */
import { decodeUtf8 } from '../../../src/bytes/text.js';
import { OstrataError } from '../../../src/errors.js';
import { lossyText, type RpmHeader } from './header.js';
import { Tag } from './tags.js';

/**
 * Longer than any path that Linux accepts (4096). Bounds what a small header with long directory
 * names and many files can expand to.
 */
const MAX_PATH_BYTES = 1 << 16;

/** What became of a file on installation (rpm's rpmfileState_e), by its number in the database. */
const STATES = ['normal', 'replaced', 'not-installed', 'net-shared', 'wrong-color'] as const;
export type FileState = (typeof STATES)[number] | 'missing';

/** Names of hash algorithms by OpenPGP number (RFC 9580, 9.5), which FILEDIGESTALGO stores. */
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
/** Packages without FILEDIGESTALGO have MD5 digests. */
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
  /** The path as text; undefined if it is not valid UTF-8. */
  readonly path: string | undefined;
  /** The path exactly as the header has it. A new array on every access. */
  readonly pathBytes: Uint8Array;
  /**
   * Bytes, as packaged: for a symlink the length of its target, for a directory what the build host
   * said.
   */
  readonly size: number;
  /** `st_mode` with its type bits. */
  readonly mode: number;
  /** Hex digest of the content; empty for ghosts and for everything but regular files. */
  readonly digest: string;
  /**
   * Algorithm of {@link digest}, e.g. `sha256`; `unknown-N` for an OpenPGP number N that has no
   * name here.
   */
  readonly digestAlgorithm: string;
  /** See {@link FileFlag}. */
  readonly flags: number;
  /** Which attributes `rpm -V` compares: bits of rpm's rpmVerifyAttrs_e. */
  readonly verifyFlags: number;
  /** File capabilities as text, e.g. `cap_net_raw=ep`; empty if it has none. */
  readonly capabilities: string;
  readonly user: string;
  readonly group: string;
  /** The exact bytes of a symlink's target; empty for other files. A new array on every access. */
  readonly linkTo: Uint8Array;
  /** Seconds since 1970, as packaged. */
  readonly mtime: number;
  readonly state: FileState;
  /** The package owns the file but does not contain it: it is created at run time. */
  readonly isGhost: boolean;
  /**
   * Whether `rpm -qf` counts the file as this package's: it was not replaced, excluded or of the
   * wrong color.
   */
  readonly isInstalled: boolean;
}

/**
 * Yields the file entries of `header` in its order, each decoded when it is asked for. Throws
 * `CORRUPT` if the columns have different lengths, `LIMIT` for a path that is too long.
 */
export function* readFiles(header: RpmHeader): Generator<RpmFile> {
  const paths = pathsOf(header);
  if (paths.count === 0) {
    return;
  }

  const columns = new FileColumns(header, paths.count);
  for (let i = 0; i < paths.count; i++) {
    yield new DecodedRpmFile(paths.at(i), columns, i);
  }
}

/** The values of every attribute; undefined for a column that the header does not have. */
class FileColumns {
  readonly sizes: readonly number[] | undefined;
  readonly modes: readonly number[] | undefined;
  readonly mtimes: readonly number[] | undefined;
  readonly flags: readonly number[] | undefined;
  readonly verifyFlags: readonly number[] | undefined;
  readonly capabilities: readonly string[] | undefined;
  readonly states: readonly number[] | undefined;
  readonly digests: readonly string[] | undefined;
  readonly digestAlgorithm: string;
  readonly links: readonly string[] | undefined;
  readonly users: readonly string[] | undefined;
  readonly groups: readonly string[] | undefined;

  constructor(header: RpmHeader, count: number) {
    const numbers = (tag: number) => checkLength(tag, header.numbers(tag), count);
    const strings = (tag: number) => checkLength(tag, header.byteStrings(tag), count);
    this.sizes = numbers(Tag.LONGFILESIZES) ?? numbers(Tag.FILESIZES);
    this.modes = numbers(Tag.FILEMODES);
    this.mtimes = numbers(Tag.FILEMTIMES);
    this.flags = numbers(Tag.FILEFLAGS);
    this.verifyFlags = numbers(Tag.FILEVERIFYFLAGS);
    this.capabilities = strings(Tag.FILECAPS);
    this.states = numbers(Tag.FILESTATES);
    this.digests = strings(Tag.FILEDIGESTS);
    this.links = strings(Tag.FILELINKTOS);
    this.users = strings(Tag.FILEUSERNAME);
    this.groups = strings(Tag.FILEGROUPNAME);
    const algorithm = header.number(Tag.FILEDIGESTALGO) ?? MD5;
    this.digestAlgorithm = DIGEST_ALGORITHMS[algorithm] ?? `unknown-${algorithm}`;
  }
}

function checkLength<T>(
  tag: number,
  column: readonly T[] | undefined,
  count: number,
): readonly T[] | undefined {
  if (column !== undefined && column.length !== count) {
    throw new OstrataError(
      'CORRUPT',
      `rpm header: tag ${tag}: ${column.length} values for ${count} files`,
    );
  }
  return column;
}

/** Returns the name of a state in the database; a package without states has normal files. */
export function fileState(state = 0): FileState {
  return STATES[state] ?? 'missing';
}

/** Whether a file in this state is the package's own; see {@link RpmFile.isInstalled}. */
export function isInstalled(state: FileState): boolean {
  return state === 'normal' || state === 'net-shared';
}

/** The paths of a package's files in the header's order, with one character per byte. */
export interface FilePaths {
  readonly count: number;
  /** Returns the base name, or the whole path if the header has no directories (rpm 3). */
  base(i: number): string;
  /**
   * Returns the path. Throws `CORRUPT` for a directory that does not exist, `LIMIT` if the path is
   * too long.
   */
  at(i: number): string;
}

/**
 * Returns paths that are stored as directory index and base name (rpm 4) or in one piece
 * (OLDFILENAMES, rpm 3).
 */
export function pathsOf(header: RpmHeader): FilePaths {
  const bases = header.byteStrings(Tag.BASENAMES);
  if (bases === undefined) {
    const paths = header.byteStrings(Tag.OLDFILENAMES) ?? [];
    const at = (i: number) => boundedPath(paths[i] ?? '');
    return { count: paths.length, base: at, at };
  }
  return joinedPaths(bases, header.byteStrings(Tag.DIRNAMES), header.numbers(Tag.DIRINDEXES));
}

/** Returns the paths before files were relocated; none if the package was not. */
export function originalPathsOf(header: RpmHeader): FilePaths {
  const bases = header.byteStrings(Tag.ORIGBASENAMES) ?? [];
  const directories = header.byteStrings(Tag.ORIGDIRNAMES);
  return joinedPaths(bases, directories, header.numbers(Tag.ORIGDIRINDEXES));
}

function joinedPaths(
  bases: readonly string[],
  directories: readonly string[] = [],
  indexes: readonly number[] = [],
): FilePaths {
  if (indexes.length !== bases.length) {
    throw new OstrataError(
      'CORRUPT',
      `rpm header: ${indexes.length} directory indexes for ${bases.length} files`,
    );
  }
  const base = (i: number) => bases[i] ?? '';
  const at = (i: number) => {
    const index = indexes[i] ?? 0;
    const directory = directories[index];
    if (directory === undefined) {
      throw new OstrataError(
        'CORRUPT',
        `rpm header: file ${i}: directory ${index} of ${directories.length}`,
      );
    }
    return boundedPath(directory + base(i));
  };
  return { count: bases.length, base, at };
}

function boundedPath(path: string): string {
  if (path.length > MAX_PATH_BYTES) {
    throw new OstrataError(
      'LIMIT',
      `rpm header: path of ${path.length} bytes, at most ${MAX_PATH_BYTES}`,
    );
  }
  return path;
}

class DecodedRpmFile implements RpmFile {
  /** With one character per byte, like {@link #link}. */
  readonly #path: string;
  readonly #link: string;
  readonly size: number;
  readonly mode: number;
  readonly digest: string;
  readonly digestAlgorithm: string;
  readonly flags: number;
  readonly verifyFlags: number;
  readonly capabilities: string;
  readonly user: string;
  readonly group: string;
  readonly mtime: number;
  readonly state: FileState;

  constructor(path: string, columns: FileColumns, i: number) {
    this.#path = path;
    this.#link = columns.links?.[i] ?? '';
    this.size = columns.sizes?.[i] ?? 0;
    this.mode = columns.modes?.[i] ?? 0;
    this.digest = columns.digests?.[i] ?? '';
    this.digestAlgorithm = columns.digestAlgorithm;
    this.flags = columns.flags?.[i] ?? 0;
    this.verifyFlags = columns.verifyFlags?.[i] ?? 0;
    this.capabilities = columns.capabilities?.[i] ?? '';
    this.user = lossyName(columns.users?.[i] ?? '');
    this.group = lossyName(columns.groups?.[i] ?? '');
    this.mtime = columns.mtimes?.[i] ?? 0;
    this.state = fileState(columns.states?.[i]);
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

/** Decodes a name with one character per byte; bytes that are not UTF-8 become U+FFFD. */
function lossyName(name: string): string {
  return NON_ASCII.test(name) ? lossyText(Buffer.from(name, 'latin1')) : name;
}
