/**
 * Which modification times the files of a plain image have. A layer is new to clients as soon as
 * one of its times changes, so times must follow from content, not from who touched a file last.
 */
import type { OwnedComponent } from '../components/assign.js';
import { isAsShipped } from '../components/shipped.js';
import { must } from '../errors.js';
import type { Claims, ComponentFacts, ShippedFile } from '../plugin.js';
import type { LocatedTree } from '../tree/content-location.js';
import { type DigestOptions, readContentDigests } from '../tree/file-digests.js';
import type { ContentEntry, Directory, FileEntry, RegularFile } from '../tree/tree.js';
import { PythonTimes } from './python-times.js';

/**
 * - `packaged`: a file that is as its package shipped it has the time that the package database
 *   records, so that files compiled from it (`.pyc`) stay valid. Where the database records no
 *   times, Python sources have the time that their compiled files name. Everything else has the
 *   time 0.
 *   That includes all directories: every layer repeats the directories above its files, and one new
 *   time would make them all new.
 * - `zero`: everything has the time 0.
 * - `clamp`: times of the tree, but none after the build of the package that owns the file or, if
 *   no package does, after the time that was chosen for the image. This is chunkah's rule.
 * - `keep`: times of the tree.
 */
export const MTIME_RULES = ['packaged', 'zero', 'clamp', 'keep'] as const;
export type MtimeRule = (typeof MTIME_RULES)[number];

export interface MtimeOptions {
  readonly rule: MtimeRule;
  /** Upper bound of `clamp` for files without a package, in seconds since 1970. */
  readonly epoch?: number | undefined;
}

/** Returns entries of `tree` with the times that the files have in the image. */
export async function withMtimes(
  entries: Iterable<FileEntry>,
  tree: LocatedTree,
  claims: readonly Claims[],
  options: MtimeOptions & DigestOptions,
): Promise<readonly FileEntry[]> {
  const digests = await missingDigests(entries, tree, claims, options);
  const timed: FileEntry[] = [];
  const mtimeOf = fileMtimes(tree, claims, options);
  for (const found of entries) {
    if (found.type === 'directory') {
      // It gets its time when it is known which layers it is in: see directoryMtimes.
      timed.push(found);
      continue;
    }
    const contentDigest = digests.get(found.checksum);
    const entry = contentDigest === undefined ? found : { ...found, contentDigest };
    const time = mtimeOf(entry);
    // An unconditional `await` for each of a million files costs seconds.
    const mtime = time instanceof Promise ? await time : time;
    timed.push(mtime === entry.mtime ? entry : { ...entry, mtime });
  }
  return timed;
}

/**
 * Whether an entry can stay the one of a base image that equals it but for its time: the time is
 * the same, or the rule gives one that means nothing.
 * @param entry has the time that the rule gives, or is a directory with that of the tree
 */
export function acceptsTimeOfBase(
  { rule }: MtimeOptions,
  entry: FileEntry,
  below: FileEntry,
): boolean {
  const isOfContent = rule === 'packaged' || rule === 'zero';
  const isMeaningless = entry.type === 'directory' || entry.mtime === 0;
  return entry.mtime === below.mtime || (isOfContent && isMeaningless);
}

/**
 * Returns SHA-256 of the content of the files whose time depends on it, by checksum, if the tree
 * does not know it: a commit does not record these digests.
 */
async function missingDigests(
  entries: Iterable<FileEntry>,
  tree: LocatedTree,
  claims: readonly Claims[],
  { rule, ...options }: MtimeOptions & DigestOptions,
): Promise<ReadonlyMap<string, string>> {
  if (rule !== 'packaged') {
    return new Map();
  }
  const missing = new Map<string, RegularFile>();
  for (const entry of entries) {
    if (entry.type !== 'file' || entry.contentDigest !== undefined) {
      continue;
    }
    const { mtime, sha256, size = entry.size } = shippedFile(entry, claims) ?? {};
    if (mtime !== undefined && sha256 !== undefined && size === entry.size) {
      missing.set(entry.checksum, entry);
    }
  }
  const digests = await readContentDigests(tree, [...missing.values()], options);
  return new Map(
    Array.from(missing.keys(), (checksum, i) => [checksum, must(digests[i], checksum)]),
  );
}

/** Returns what gives each directory its time in the layer of `components`. */
export function directoryMtimes(
  components: readonly OwnedComponent[],
  { rule, epoch }: MtimeOptions,
): (directory: Directory) => number {
  switch (rule) {
    case 'packaged':
    case 'zero':
      return () => 0;
    case 'clamp': {
      const facts = components.map((component) => component.facts);
      const limit = newestBuild(facts) ?? epoch ?? Infinity;
      return ({ mtime = 0 }) => Math.min(mtime, limit);
    }
    case 'keep':
      return ({ mtime = 0 }) => mtime;
  }
}

/** Returns what gives each file and symlink its time. */
function fileMtimes(
  tree: LocatedTree,
  claims: readonly Claims[],
  { rule, epoch = Infinity }: MtimeOptions,
): (entry: ContentEntry) => number | Promise<number> {
  switch (rule) {
    case 'packaged': {
      const times = new PackagedTimes(tree, claims);
      return (entry) => times.mtimeOf(entry);
    }
    case 'zero':
      return () => 0;
    case 'clamp':
      return (entry) => {
        const limit = newestBuild(factsOf(entry, claims)) ?? epoch;
        return Math.min(entry.mtime ?? 0, limit);
      };
    case 'keep':
      return ({ mtime = 0 }) => mtime;
  }
}

function factsOf(entry: FileEntry, claims: readonly Claims[]): readonly ComponentFacts[] {
  for (const { components, strong } of claims) {
    const [id] = strong(entry);
    const facts = id === undefined ? undefined : components.get(id);
    if (facts !== undefined) {
      return [facts];
    }
  }
  return [];
}

/** Returns the newest build time of any package; undefined if none is known. */
function newestBuild(facts: readonly ComponentFacts[]): number | undefined {
  const times = facts.flatMap(({ packages }) =>
    packages.flatMap(({ buildTime }) => buildTime ?? []),
  );
  return times.length === 0 ? undefined : times.reduce((a, b) => Math.max(a, b));
}

/** Returns what the first package that shipped the file at this path says of it. */
function shippedFile({ path }: FileEntry, claims: readonly Claims[]): ShippedFile | undefined {
  for (const claim of claims) {
    const shipped = claim.shipped?.(path);
    if (shipped !== undefined) {
      return shipped;
    }
  }
  return undefined;
}

/** The times of files that are as their packages shipped them, and 0 for all others. */
class PackagedTimes {
  readonly #tree: LocatedTree;
  readonly #claims: readonly Claims[];
  readonly #python: PythonTimes;

  constructor(tree: LocatedTree, claims: readonly Claims[]) {
    this.#tree = tree;
    this.#claims = claims;
    this.#python = new PythonTimes(tree);
  }

  mtimeOf(entry: ContentEntry): number | Promise<number> {
    const shipped = shippedFile(entry, this.#claims);
    return shipped === undefined ? 0 : this.#shippedMtime(entry, shipped);
  }

  async #shippedMtime(entry: ContentEntry, shipped: ShippedFile): Promise<number> {
    const mtime = shipped.mtime ?? (await this.#python.compiledMtime(entry));
    // The content is read only where a time depends on it.
    const isKept = mtime !== undefined && (await isAsShipped(this.#tree, entry, shipped));
    return isKept ? mtime : 0;
  }
}
