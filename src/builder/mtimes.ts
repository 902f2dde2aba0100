/**
 * Which modification times the files of a plain image have. A layer is new to clients as soon as
 * one of its times changes, so times must follow from content, not from who touched a file last.
 */
import { createHash } from 'node:crypto';
import type { OwnedComponent } from '../components/assign.js';
import type { Claims, ComponentFacts, ShippedFile } from '../plugin.js';
import type { LocatedTree } from '../tree/content-location.js';
import { FileMap } from '../tree/file-map.js';
import type { Directory, FileEntry, RegularFile, Symlink } from '../tree/tree.js';
import { compiledMtime } from './python-times.js';

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

/** Returns `tree` with the times that its files have in the image. */
export async function withMtimes(
  tree: LocatedTree,
  claims: readonly Claims[],
  options: MtimeOptions,
): Promise<LocatedTree> {
  const entries: FileEntry[] = [];
  for (const entry of tree.files) {
    if (entry.type === 'directory') {
      // It gets its time when it is known which layers it is in: see directoryMtimes.
      entries.push(entry);
      continue;
    }
    const found = fileMtime(tree, entry, claims, options);
    // An unconditional `await` for each of a million files costs seconds.
    const mtime = found instanceof Promise ? await found : found;
    entries.push(mtime === entry.mtime ? entry : { ...entry, mtime });
  }
  return { ...tree, files: new FileMap(entries) };
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

function fileMtime(
  tree: LocatedTree,
  entry: RegularFile | Symlink,
  claims: readonly Claims[],
  { rule, epoch }: MtimeOptions,
): number | Promise<number> {
  const { mtime = 0 } = entry;
  switch (rule) {
    case 'packaged':
      return packagedMtime(tree, entry, claims);
    case 'zero':
      return 0;
    case 'clamp':
      return Math.min(mtime, newestBuild(factsOf(entry, claims)) ?? epoch ?? mtime);
    case 'keep':
      return mtime;
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

function packagedMtime(
  tree: LocatedTree,
  entry: RegularFile | Symlink,
  claims: readonly Claims[],
): number | Promise<number> {
  for (const claim of claims) {
    const shipped = claim.shipped?.(entry.path);
    if (shipped !== undefined) {
      return shippedMtime(tree, entry, shipped);
    }
  }
  return 0;
}

async function shippedMtime(
  tree: LocatedTree,
  entry: RegularFile | Symlink,
  shipped: ShippedFile,
): Promise<number> {
  const mtime = shipped.mtime ?? (await compiledMtime(tree, entry));
  // The content is read only where a time depends on it.
  const isKept = mtime !== undefined && (await isAsShipped(tree, entry, shipped));
  return isKept ? mtime : 0;
}

async function isAsShipped(
  tree: LocatedTree,
  entry: RegularFile | Symlink,
  shipped: ShippedFile,
): Promise<boolean> {
  if (entry.type === 'symlink') {
    return entry.target === shipped.target;
  }
  if (shipped.size !== undefined && shipped.size !== entry.size) {
    return false;
  }
  for (const algorithm of ['sha256', 'sha1', 'md5'] as const) {
    const expected = shipped[algorithm];
    if (expected !== undefined) {
      return expected === (await contentDigest(tree, entry, algorithm));
    }
  }
  return false;
}

async function contentDigest(
  tree: LocatedTree,
  { path, contentDigest: known }: RegularFile,
  algorithm: 'sha256' | 'sha1' | 'md5',
): Promise<string> {
  if (algorithm === 'sha256' && known !== undefined) {
    return known;
  }
  const hash = createHash(algorithm);
  for await (const chunk of tree.read(path)) {
    hash.update(chunk);
  }
  return hash.digest('hex');
}
