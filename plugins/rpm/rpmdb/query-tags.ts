/** The values of tags in rpm's queries: what headers store, and what rpm computes from that. */
import { OstrataError } from '../../../src/errors.js';
import { fileState, isInstalled, pathsOf } from './file.js';
import { byteString, type RpmHeader } from './header.js';
import { formatEvr, formatNevra } from './nevra.js';
import type { RpmPackage } from './package.js';
import { Tag, TagType } from './tags.js';

/**
 * The values of one tag. Strings have one character per byte, so that names that are not UTF-8 are
 * not lost.
 */
export type TagValues =
  | { readonly kind: 'number'; readonly values: readonly number[] }
  | { readonly kind: 'string'; readonly values: readonly string[] }
  | { readonly kind: 'binary'; readonly values: readonly Uint8Array[] };

/** Returns the values of one tag; undefined if the package does not have it. */
export type TagReader = (pkg: RpmPackage) => TagValues | undefined;

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

const text = (value: string): TagValues => ({
  kind: 'string',
  values: [byteString(Buffer.from(value))],
});
const number = (value: number): TagValues => ({ kind: 'number', values: [value] });
const strings = (values: readonly string[]): TagValues | undefined =>
  values.length === 0 ? undefined : { kind: 'string', values };

/**
 * Tags that are computed from others. rpm computes more; the rest, which needs rpm's configuration
 * or machine, is refused.
 */
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
  [Tag.FILENAMES]: ({ header }) => strings(fileNames(header, () => true)),
  [Tag.INSTFILENAMES]: ({ header }) => {
    const states = header.numbers(Tag.FILESTATES);
    return strings(fileNames(header, (i) => isInstalled(fileState(states?.[i]))));
  },
  [Tag.PROVIDENEVRS]: dependencies(Tag.PROVIDENAME, Tag.PROVIDEFLAGS, Tag.PROVIDEVERSION),
  [Tag.REQUIRENEVRS]: dependencies(Tag.REQUIRENAME, Tag.REQUIREFLAGS, Tag.REQUIREVERSION),
  [Tag.CONFLICTNEVRS]: dependencies(Tag.CONFLICTNAME, Tag.CONFLICTFLAGS, Tag.CONFLICTVERSION),
  [Tag.OBSOLETENEVRS]: dependencies(Tag.OBSOLETENAME, Tag.OBSOLETEFLAGS, Tag.OBSOLETEVERSION),
  [Tag.RECOMMENDNEVRS]: dependencies(Tag.RECOMMENDNAME, Tag.RECOMMENDFLAGS, Tag.RECOMMENDVERSION),
  [Tag.SUGGESTNEVRS]: dependencies(Tag.SUGGESTNAME, Tag.SUGGESTFLAGS, Tag.SUGGESTVERSION),
  [Tag.SUPPLEMENTNEVRS]: dependencies(
    Tag.SUPPLEMENTNAME,
    Tag.SUPPLEMENTFLAGS,
    Tag.SUPPLEMENTVERSION,
  ),
  [Tag.ENHANCENEVRS]: dependencies(Tag.ENHANCENAME, Tag.ENHANCEFLAGS, Tag.ENHANCEVERSION),
};

/** Tags that rpm computes and this reader does not. */
const NOT_COMPUTED: ReadonlySet<number> = new Set([
  Tag.HEADERIMAGE,
  Tag.HEADERSIGNATURES,
  Tag.HEADERIMMUTABLE,
  Tag.FILECLASS,
  Tag.FILEPROVIDE,
  Tag.FILEREQUIRE,
  Tag.FILENLINKS,
  Tag.FSCONTEXTS,
  Tag.RECONTEXTS,
  Tag.ORIGFILENAMES,
  Tag.TRIGGERCONDS,
  Tag.TRIGGERTYPE,
  Tag.FILETRIGGERCONDS,
  Tag.FILETRIGGERTYPE,
  Tag.TRANSFILETRIGGERCONDS,
  Tag.TRANSFILETRIGGERTYPE,
]);

/** A tag of a query format. */
export interface QueryTag {
  readonly name: string;
  readonly tag: number;
  readonly read: TagReader;
}

/**
 * Returns a tag by rpm's name for it, in upper or lower case, with or without RPMTAG_. Throws
 * `USAGE` for an unknown name, `UNSUPPORTED` for a tag that is not computed here.
 */
export function tagByName(given: string): QueryTag {
  const upper = given.toUpperCase().replace(/^RPMTAG_/, '');
  const name = ALIASES.get(upper) ?? upper;
  const tag = TAGS.get(name);
  if (tag === undefined) {
    throw new OstrataError('USAGE', `unknown tag ${given}`);
  }
  if (NOT_COMPUTED.has(tag)) {
    throw new OstrataError('UNSUPPORTED', `tag ${name} is not supported`);
  }
  return { name, tag, read: COMPUTED[tag] ?? (({ header }) => stored(header, tag)) };
}

/** The values as the header stores them. */
function stored(header: RpmHeader, tag: number): TagValues | undefined {
  switch (header.type(tag)) {
    case undefined:
      return undefined;
    case TagType.STRING:
    case TagType.STRING_ARRAY:
      return { kind: 'string', values: header.byteStrings(tag) ?? [] };
    case TagType.I18NSTRING: // one value in several languages, the untranslated one first
      return { kind: 'string', values: (header.byteStrings(tag) ?? []).slice(0, 1) };
    case TagType.BIN:
      return { kind: 'binary', values: [header.binary(tag) ?? new Uint8Array()] };
    default:
      return { kind: 'number', values: header.numbers(tag) ?? [] };
  }
}

/** Sizes from 4 GiB on are stored under another tag. */
function longOr(long: number, short: number): TagReader {
  return ({ header }) => stored(header, header.has(long) ? long : short);
}

function fileNames(header: RpmHeader, isWanted: (i: number) => boolean): string[] {
  const paths = pathsOf(header);
  const names: string[] = [];
  for (let i = 0; i < paths.count; i++) {
    if (isWanted(i)) {
      names.push(paths.at(i));
    }
  }
  return names;
}

/** Reads dependencies as `name`, or as `name flags version` if there is a version to compare. */
function dependencies(names: number, flags: number, versions: number): TagReader {
  return ({ header }) => {
    const comparisons = header.numbers(flags);
    const evrs = header.byteStrings(versions);
    const texts = (header.byteStrings(names) ?? []).map((name, i) => {
      const comparison = comparisonSigns(comparisons?.[i] ?? 0);
      return comparison === '' ? name : `${name} ${comparison} ${evrs?.[i] ?? ''}`;
    });
    return strings(texts);
  };
}

/** Returns `<`, `>`, `=` or a combination, by rpm's RPMSENSE_LESS, _GREATER and _EQUAL. */
export function comparisonSigns(flags: number): string {
  return `${flags & 2 ? '<' : ''}${flags & 4 ? '>' : ''}${flags & 8 ? '=' : ''}`;
}
