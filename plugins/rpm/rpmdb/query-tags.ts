/** The values of tags in rpm's queries: what headers store, and what rpm computes from that. */
import { OstrataError } from '../../../src/errors.js';
import { type FilePaths, fileState, isInstalled, originalPathsOf, pathsOf } from './file.js';
import { formatEvr, formatNevra } from './nevra.js';
import { fileDependencies, readFileClasses, readLinkCounts } from './query-files.js';
import { triggerConditions, triggerTypes } from './query-triggers.js';
import {
  type DependencyKind,
  dependencyTexts,
  number,
  stored,
  storedInAllLanguages,
  strings,
  type TagReader,
  text,
} from './tag-values.js';
import { Tag } from './tags.js';

const TAGS: ReadonlyMap<string, number> = new Map(Object.entries(Tag));

/** Other names that rpm accepts. */
const ALIASES: ReadonlyMap<string, keyof typeof Tag> = new Map(
  Object.entries({
    N: 'NAME',
    V: 'VERSION',
    R: 'RELEASE',
    E: 'EPOCH',
    P: 'PROVIDENAME',
    PROVIDES: 'PROVIDENAME',
    REQUIRES: 'REQUIRENAME',
    C: 'CONFLICTNAME',
    CONFLICTS: 'CONFLICTNAME',
    O: 'OBSOLETENAME',
    OBSOLETES: 'OBSOLETENAME',
    RECOMMENDS: 'RECOMMENDNAME',
    SUGGESTS: 'SUGGESTNAME',
    SUPPLEMENTS: 'SUPPLEMENTNAME',
    ENHANCES: 'ENHANCENAME',
    FILEMD5S: 'FILEDIGESTS',
    PKGID: 'SIGMD5',
    HDRID: 'SHA1HEADER',
  } as const),
);

/** Tags that are computed from others, as rpm does. */
const COMPUTED: Readonly<Record<number, TagReader>> = {
  [Tag.EVR]: (pkg) => text(formatEvr(pkg)),
  [Tag.NVR]: ({ name, version, release }) => text(`${name}-${version}-${release}`),
  [Tag.NVRA]: ({ name, version, release, arch }) =>
    text(formatNevra({ name, version, release, arch })),
  [Tag.NEVR]: ({ name, epoch, version, release }) =>
    text(formatNevra({ name, epoch, version, release })),
  [Tag.NEVRA]: (pkg) => text(pkg.nevra),
  [Tag.ARCHSUFFIX]: ({ arch }) => text(arch === undefined ? '' : `.${arch}`),
  [Tag.EPOCHNUM]: ({ epoch = 0 }) => number(epoch),
  [Tag.DBINSTANCE]: (pkg) => number(pkg.number),
  [Tag.HEADERCOLOR]: ({ header }) =>
    number((header.numbers(Tag.FILECOLORS) ?? []).reduce((all, color) => all | color, 0) & 15),
  [Tag.VERBOSE]: () => undefined,
  [Tag.LONGSIZE]: longOr(Tag.LONGSIZE, Tag.SIZE),
  [Tag.LONGFILESIZES]: longOr(Tag.LONGFILESIZES, Tag.FILESIZES),
  [Tag.LONGARCHIVESIZE]: longOr(Tag.LONGARCHIVESIZE, Tag.ARCHIVESIZE),
  [Tag.LONGSIGSIZE]: longOr(Tag.LONGSIGSIZE, Tag.SIGSIZE),
  [Tag.FILENAMES]: ({ header }) => strings(fileNames(pathsOf(header), () => true)),
  [Tag.INSTFILENAMES]: ({ header }) => {
    const states = header.numbers(Tag.FILESTATES);
    return strings(fileNames(pathsOf(header), (i) => isInstalled(fileState(states?.[i]))));
  },
  [Tag.PROVIDENEVRS]: dependencies('PROVIDE'),
  [Tag.REQUIRENEVRS]: dependencies('REQUIRE'),
  [Tag.CONFLICTNEVRS]: dependencies('CONFLICT'),
  [Tag.OBSOLETENEVRS]: dependencies('OBSOLETE'),
  [Tag.RECOMMENDNEVRS]: dependencies('RECOMMEND'),
  [Tag.SUGGESTNEVRS]: dependencies('SUGGEST'),
  [Tag.SUPPLEMENTNEVRS]: dependencies('SUPPLEMENT'),
  [Tag.ENHANCENEVRS]: dependencies('ENHANCE'),
  [Tag.HEADERIMMUTABLE]: ({ header }) => {
    const region = header.immutableRegion();
    return region && { kind: 'binary', values: [Buffer.concat(region)] };
  },
  [Tag.ORIGFILENAMES]: ({ header }) => strings(fileNames(originalPathsOf(header), () => true)),
  [Tag.FILECLASS]: readFileClasses,
  [Tag.FILEPROVIDE]: fileDependencies('PROVIDE'),
  [Tag.FILEREQUIRE]: fileDependencies('REQUIRE'),
  [Tag.FILENLINKS]: readLinkCounts,
  [Tag.TRIGGERCONDS]: triggerConditions('TRIGGER'),
  [Tag.TRIGGERTYPE]: triggerTypes('TRIGGER'),
  [Tag.FILETRIGGERCONDS]: triggerConditions('FILETRIGGER'),
  [Tag.FILETRIGGERTYPE]: triggerTypes('FILETRIGGER'),
  [Tag.TRANSFILETRIGGERCONDS]: triggerConditions('TRANSFILETRIGGER'),
  [Tag.TRANSFILETRIGGERTYPE]: triggerTypes('TRANSFILETRIGGER'),
};

/** A tag of a query format. */
export interface QueryTag {
  readonly name: string;
  readonly tag: number;
  readonly read: TagReader;
}

/**
 * Returns a tag by rpm's name for it, in upper or lower case, with or without RPMTAG_. Throws
 * `USAGE` for an unknown name.
 */
export function tagByName(given: string): QueryTag {
  const upper = given.toUpperCase().replace(/^RPMTAG_/, '');
  const name = ALIASES.get(upper) ?? upper;
  const tag = TAGS.get(name);
  if (tag === undefined) {
    throw new OstrataError('USAGE', `unknown tag ${given}`);
  }
  return { name, tag, read: COMPUTED[tag] ?? (({ header }) => stored(header, tag)) };
}

const NAMES: ReadonlyMap<number, string> = new Map([...TAGS].map(([name, tag]) => [tag, name]));

/**
 * Returns a tag by its number, as one of all the tags that a header has: nothing is computed, and a
 * translated string has a value for each language.
 */
export function tagByNumber(tag: number): QueryTag {
  const name = NAMES.get(tag) ?? `[${tag}]`;
  return { name, tag, read: ({ header }) => storedInAllLanguages(header, tag) };
}

/** Sizes from 4 GiB on are stored under another tag. */
function longOr(long: number, short: number): TagReader {
  return ({ header }) => stored(header, header.has(long) ? long : short);
}

function fileNames(paths: FilePaths, isWanted: (i: number) => boolean): string[] {
  const names: string[] = [];
  for (let i = 0; i < paths.count; i++) {
    if (isWanted(i)) {
      names.push(paths.at(i));
    }
  }
  return names;
}

function dependencies(kind: DependencyKind): TagReader {
  return ({ header }) => strings(dependencyTexts(header, kind));
}
