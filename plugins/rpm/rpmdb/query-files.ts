/** Tags that rpm computes for each file of a package: its class, dependencies and links. */
import { OstrataError } from '../../../src/errors.js';
import { FileFlag, pathsOf } from './file.js';
import type { RpmHeader } from './header.js';
import type { RpmPackage } from './package.js';
import {
  BoundedJoiner,
  dependencyTexts,
  strings,
  type TagReader,
  type TagValues,
} from './tag-values.js';
import { Tag } from './tags.js';

/** By file type, the upper four bits of a mode. */
const CLASSES: ReadonlyMap<number, string> = new Map([
  [1, 'fifo (named pipe)'],
  [2, 'character special'],
  [4, 'directory'],
  [6, 'block special'],
  [12, 'socket'],
]);
/** Entries of the dictionary for all files; the ranges of sound packages do not overlap. */
const MAX_DEPENDENCIES = 1 << 24;
const REGULAR = 8;
const SYMLINK = 10;

/** Of FILECLASS: what `file` said of each file when it was packaged, or what its mode says. */
export const readFileClasses: TagReader = ({ header }) => {
  const indexes = header.numbers(Tag.FILECLASS) ?? [];
  const classes = header.byteStrings(Tag.CLASSDICT) ?? [];
  const modes = header.numbers(Tag.FILEMODES) ?? [];
  const targets = header.byteStrings(Tag.FILELINKTOS) ?? [];
  const { count } = pathsOf(header);

  const all = Array.from({ length: count }, (_, i) => {
    const index = indexes[i];
    const known = index === undefined ? undefined : classes[index];
    return known || classOfMode(modes[i], targets[i]);
  });
  return strings(all);
};

function classOfMode(mode = 0, target = ''): string {
  const type = mode >> 12;
  if (type === SYMLINK) {
    return `symbolic link to \`${target}'`;
  }
  return CLASSES.get(type) ?? '';
}

/**
 * Returns a reader of FILEPROVIDE or FILEREQUIRE: the dependencies that each file brings along. A
 * file has a range of a dictionary, whose entries have P or R in the upper byte and the place of a
 * dependency in the lower three.
 */
export function fileDependencies(kind: 'PROVIDE' | 'REQUIRE'): TagReader {
  const letter = kind.charCodeAt(0);
  return ({ header }) => {
    const dependencies = dependencyTexts(header, kind);
    const dictionary = header.numbers(Tag.DEPENDSDICT) ?? [];
    const starts = header.numbers(Tag.FILEDEPENDSX) ?? [];
    const counts = header.numbers(Tag.FILEDEPENDSN) ?? [];
    const { count: fileCount } = pathsOf(header);
    const joiner = new BoundedJoiner();
    let entryCount = 0;

    const all = Array.from({ length: fileCount }, (_, i) => {
      const start = starts[i] ?? 0;
      const count = counts[i] ?? 0;
      const entries = dictionary.slice(start, start + count);
      entryCount += entries.length;
      if (entryCount > MAX_DEPENDENCIES) {
        throw new OstrataError('LIMIT', `rpm header: over ${MAX_DEPENDENCIES} file dependencies`);
      }
      const ofLetter = entries.filter((entry) => entry >>> 24 === letter);
      const texts = ofLetter.flatMap((entry) => {
        const place = entry & 0xffffff;
        return dependencies[place] ?? [];
      });
      return joiner.join(texts, ' ');
    });
    return strings(all);
  };
}

/** Of FILENLINKS: how many regular files of the package are hard links of one another. */
export function readLinkCounts({ header }: RpmPackage): TagValues | undefined {
  const { count } = pathsOf(header);
  if (count === 0) {
    return undefined;
  }
  const identities = fileIdentities(header, count);
  const counts = new Map<string, number>();
  for (const identity of identities) {
    if (identity !== undefined) {
      const before = counts.get(identity) ?? 0;
      counts.set(identity, before + 1);
    }
  }
  const values = identities.map((identity = '') => {
    const links = counts.get(identity);
    return links ?? 1;
  });
  return { kind: 'number', values };
}

/** Device and inode of each file that can have hard links. */
function fileIdentities(header: RpmHeader, count: number): readonly (string | undefined)[] {
  const devices = header.numbers(Tag.FILEDEVICES) ?? [];
  const inodes = header.numbers(Tag.FILEINODES) ?? [];
  const modes = header.numbers(Tag.FILEMODES) ?? [];
  const allFlags = header.numbers(Tag.FILEFLAGS) ?? [];
  return Array.from({ length: count }, (_, i) => {
    const mode = modes[i] ?? 0;
    const isRegular = mode >> 12 === REGULAR;
    const flags = allFlags[i] ?? 0;
    const isGhost = (flags & FileFlag.GHOST) !== 0;
    if (!isRegular || isGhost) {
      return undefined;
    }
    const inode = inodes[i] ?? 0;
    const device = devices[i];
    const isKnown = inode !== 0 && device !== undefined;
    return isKnown ? `${device}:${inode}` : undefined;
  });
}
