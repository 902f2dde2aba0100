/** Compares the files of packages with a tree, like `rpm -V`. */
import { createHash, getHashes } from 'node:crypto';
import type { ContentSink } from '../../../src/bytes/stream.js';
import type { FileEntry, RegularFile, TreePath } from '../../../src/tree/entry.js';
import type { PathLookup, ReadableTree } from '../../../src/tree/lookup.js';
import { type Accounts, readAccounts } from './accounts.js';
import { FileFlag, type RpmFile } from './file.js';
import { hasCapabilities } from './file-capabilities.js';
import { movedPaths } from './moved.js';

/**
 * Attributes that are compared, by the letter with which rpm reports a difference. The number is
 * the bit in {@link RpmFile.verifyFlags}.
 */
export const VerifyBit = {
  S: 1 << 1,
  M: 1 << 6,
  '5': 1 << 0,
  D: 1 << 7,
  L: 1 << 2,
  U: 1 << 3,
  G: 1 << 4,
  T: 1 << 5,
  P: 1 << 8,
} as const;

export type VerifyLetter = keyof typeof VerifyBit;

/** In the order of rpm's output. */
export const VERIFY_LETTERS: readonly VerifyLetter[] = [
  'S',
  'M',
  '5',
  'D',
  'L',
  'U',
  'G',
  'T',
  'P',
];
/** What is compared of a regular file only. */
const CONTENT_BITS = VerifyBit['5'] | VerifyBit.S | VerifyBit.T;

/** What verifying one file of a package found. */
export interface FileVerdict {
  readonly file: RpmFile;
  /** Nothing is at the path of the file, nor where ostree would have moved it. */
  readonly isMissing: boolean;
  /** In the order of rpm's output. */
  readonly differences: readonly VerifyLetter[];
  /** Whether `5` means that the algorithm of the digest is unknown. */
  readonly isUnreadable: boolean;
}

/** Verifies files of packages in one tree. */
export class Verifier {
  /** Whether any file of the tree had a time to compare: ostree keeps none. */
  hasTimes = false;
  readonly #tree: ReadableTree;
  readonly #installed: InstalledFiles;
  readonly #omitted: number;
  readonly #users: Accounts;
  readonly #groups: Accounts;
  /** By {@link digestKey}. */
  readonly #digests = new Map<string, string>();

  private constructor(tree: ReadableTree, omitted: number, users: Accounts, groups: Accounts) {
    this.#tree = tree;
    this.#installed = new InstalledFiles(tree.files);
    this.#omitted = omitted;
    this.#users = users;
    this.#groups = groups;
  }

  /** Reads the users and groups of a tree. @param omitted attributes that are not compared */
  static async open(tree: ReadableTree, omitted: number): Promise<Verifier> {
    const users = await readAccounts(tree, 'passwd');
    const groups = await readAccounts(tree, 'group');
    return new Verifier(tree, omitted, users, groups);
  }

  /** Reads the content of `files`, as far as it is compared. */
  async readDigests(files: Iterable<RpmFile>): Promise<void> {
    const wanted = new Map<RegularFile, Set<string>>();
    for (const file of verifiable(files)) {
      const entry = this.#installed.find(file);
      if (entry?.type !== 'file' || !(this.#bits(file, entry) & VerifyBit['5'])) {
        continue;
      }
      if (KNOWN_HASHES.has(file.digestAlgorithm)) {
        const algorithms = wanted.get(entry) ?? new Set();
        wanted.set(entry, algorithms.add(file.digestAlgorithm));
      }
    }
    await this.#tree.readFiles([...wanted.keys()], (entry) =>
      this.#startDigests(entry.path, [...(wanted.get(entry) ?? [])]),
    );
  }

  #startDigests(path: TreePath, algorithms: readonly string[]): ContentSink {
    const hashes = algorithms.map((name) => [name, createHash(name)] as const);
    return {
      write(bytes) {
        for (const [, hash] of hashes) {
          hash.update(bytes);
        }
      },
      finish: () => {
        for (const [name, hash] of hashes) {
          this.#digests.set(digestKey(name, path), hash.digest('hex'));
        }
      },
    };
  }

  /**
   * Yields what is to be said of `files`: of those that differ, are missing or were replaced.
   * Their content must have been read. Devices, pipes and sockets are not in trees, so that they
   * do not count as missing.
   */
  *verify(files: Iterable<RpmFile>): Generator<FileVerdict> {
    for (const file of verifiable(files)) {
      const entry = this.#installed.find(file);
      if (entry === undefined) {
        if (this.#installed.isMissing(file)) {
          yield { file, isMissing: true, differences: [], isUnreadable: false };
        }
        continue;
      }
      const bits = this.#bits(file, entry);
      const compared = VERIFY_LETTERS.filter((letter) => bits & VerifyBit[letter]);
      const differences = compared.filter((letter) => this.#differs(letter, file, entry));
      if (differences.length > 0 || file.state === 'replaced') {
        const isUnreadable = !KNOWN_HASHES.has(file.digestAlgorithm);
        yield { file, isMissing: false, differences, isUnreadable };
      }
    }
  }

  /** Which attributes are compared: rules of rpm's rpmfilesVerify. */
  #bits(file: RpmFile, found: FileEntry): number {
    if (file.state === 'replaced') {
      return 0;
    }
    let bits = file.verifyFlags & ~this.#omitted;
    if (file.state === 'wrong-color') {
      bits &= ~(CONTENT_BITS | VerifyBit.D);
    }
    bits &= found.type === 'symlink' ? ~VerifyBit.M : ~VerifyBit.L;
    if (found.type !== 'file') {
      bits &= ~(CONTENT_BITS | VerifyBit.P);
    }
    if (file.isGhost) {
      bits &= ~(CONTENT_BITS | VerifyBit.L);
    }
    return bits;
  }

  #differs(letter: VerifyLetter, file: RpmFile, found: FileEntry): boolean {
    switch (letter) {
      case 'S':
        return found.type === 'file' && found.size !== file.size;
      case 'M':
        return (found.mode & modeMask(file)) !== (file.mode & modeMask(file));
      case '5':
        return this.#digests.get(digestKey(file.digestAlgorithm, found.path)) !== file.digest;
      case 'D':
        return isDevice(file.mode);
      case 'L':
        return found.type === 'symlink' && !Buffer.from(found.target).equals(file.linkTo);
      case 'U':
        return !this.#users.isOwner(file.user, found.uid);
      case 'G':
        return !this.#groups.isOwner(file.group, found.gid);
      case 'T':
        return found.type === 'file' && this.#hasOtherTime(file, found);
      case 'P':
        return !hasCapabilities(file.capabilities, found.xattrs.get('security.capability'));
    }
  }

  /** ostree sets the time of every file to 0, which says nothing. */
  #hasOtherTime(file: RpmFile, { mtime = 0 }: RegularFile): boolean {
    this.hasTimes ||= mtime !== 0;
    return mtime !== 0 && mtime !== file.mtime;
  }
}

/**
 * Leaves out what was never installed, as rpm does, and names that are not UTF-8: no tree has them.
 */
function* verifiable(files: Iterable<RpmFile>): Generator<RpmFile> {
  for (const file of files) {
    const isInstalled = file.state !== 'not-installed' && file.state !== 'net-shared';
    if (isInstalled && file.path !== undefined) {
      yield file;
    }
  }
}

const KNOWN_HASHES: ReadonlySet<string> = new Set(getHashes());

function digestKey(algorithm: string, path: TreePath): string {
  return `${algorithm} ${path}`;
}

/** The type of a ghost is not compared, only its permissions. */
function modeMask({ isGhost }: RpmFile): number {
  return isGhost ? 0o7777 : 0xffff;
}

/** The type of a file: the upper four bits of its mode. */
const FileType = { FIFO: 1, CHARACTER: 2, DIRECTORY: 4, BLOCK: 6, SOCKET: 12 } as const;
const NOT_IN_TREES: ReadonlySet<number> = new Set([
  FileType.FIFO,
  FileType.CHARACTER,
  FileType.BLOCK,
  FileType.SOCKET,
]);

function fileType(mode: number): number {
  return mode >> 12;
}

function isDevice(mode: number): boolean {
  return fileType(mode) === FileType.CHARACTER || fileType(mode) === FileType.BLOCK;
}

/** Where the files of packages lie in a tree. */
class InstalledFiles {
  readonly #files: PathLookup;
  /** A commit has no `/etc`; where it is, its files are not expected in `/usr/etc`. */
  readonly #hasEtc: boolean;
  /** ostree leaves `/var` empty; what belongs there is made at the first boot. */
  readonly #isVarEmpty: boolean;

  constructor(files: PathLookup) {
    const has = (path: string) => files.resolve(path) !== undefined;
    this.#files = files;
    this.#hasEtc = has('/etc');
    this.#isVarEmpty = has('/ostree') && !has('/var/lib');
  }

  /**
   * Finds a file where its package installed it, or where ostree moved it. A symlink to a directory
   * may stand for a directory.
   */
  find({ path = '', mode }: RpmFile): FileEntry | undefined {
    const moved = this.#hasEtc && path.startsWith('/etc/') ? [] : movedPaths(path);
    for (const candidate of [path, ...moved]) {
      const entry = this.#files.resolve(candidate);
      if (entry === undefined) {
        continue;
      }
      const isLinked = entry.type === 'symlink' && fileType(mode) === FileType.DIRECTORY;
      const target = isLinked ? this.#files.resolve(candidate, true) : undefined;
      return target?.type === 'directory' ? target : entry;
    }
    return undefined;
  }

  /** Whether a file that is not in the tree is missing. */
  isMissing({ mode, flags, path = '' }: RpmFile): boolean {
    const mayBeMissing = (flags & (FileFlag.GHOST | FileFlag.MISSINGOK)) !== 0;
    const isLater = this.#isVarEmpty && path.startsWith('/var/');
    return !mayBeMissing && !isLater && !NOT_IN_TREES.has(fileType(mode));
  }
}
