/** Which packages own a path, like `rpm -qf`. */
import { posix } from 'node:path';
import { decodeUtf8 } from '../../../src/bytes/text.js';
import { inContext, type OstrataError } from '../../../src/errors.js';
import type { PathLookup } from '../../../src/tree/lookup.js';
import { attempt } from './backend.js';
import { fileState, isInstalled, pathsOf } from './file.js';
import { byteString } from './header.js';
import { originalPaths } from './moved.js';
import type { RpmPackage } from './package.js';
import { Tag } from './tags.js';

/** The longest path that Linux accepts; bounds how deep the search for a directory goes. */
const PATH_MAX = 4096;

/** The packages that own a path. */
export interface PathOwners {
  /** The path as the caller gave it. */
  readonly path: string;
  /** By ascending package number; empty if nobody owns the path. */
  readonly owners: readonly RpmPackage[];
  /** The path that the packages name, if an ostree-shaped tree keeps the file elsewhere. */
  readonly installedAs: string | undefined;
}

/**
 * Returns the owners of `paths` like `rpm -qf`: of files, directories and ghosts that are
 * installed, also through symlinked directories. Paths are absolute or relative to the root of the
 * tree. If ostree moved a file to one of `paths`, and nothing lies at the path from which it came,
 * the owners of that path count, too.
 * @param onError called for each package whose files cannot be read; if it is missing, the error is
 * thrown
 */
export function findOwners(
  packages: Iterable<RpmPackage>,
  files: PathLookup,
  paths: readonly string[],
  onError?: (error: OstrataError) => void,
): PathOwners[] {
  const canonical = new CanonicalPaths(files);
  const wanted = new Map<string, RpmPackage[]>();
  /** The list that `collectOwners` fills. */
  const ownersOf = (path: string): readonly RpmPackage[] => {
    const key = canonical.of(path);
    const owners = wanted.get(key) ?? [];
    wanted.set(key, owners);
    return owners;
  };

  const questions = paths.map((path) => {
    const absolute = posix.resolve('/', path);
    const exists = files.resolve(absolute) !== undefined;
    const origins = exists ? originalPaths(canonical.of(absolute)) : [];
    const moved = origins
      .filter((origin) => files.resolve(origin) === undefined)
      .map((installedAs) => ({ installedAs, owners: ownersOf(installedAs) }));
    return { path, direct: ownersOf(absolute), moved };
  });
  collectOwners(packages, canonical, wanted, onError);

  return questions.map(({ path, direct, moved }) => {
    const found = direct.length > 0 ? undefined : moved.find(({ owners }) => owners.length > 0);
    return { path, owners: found?.owners ?? direct, installedAs: found?.installedAs };
  });
}

/** Adds to each wanted path the packages that have it installed. */
function collectOwners(
  packages: Iterable<RpmPackage>,
  canonical: CanonicalPaths,
  wanted: ReadonlyMap<string, RpmPackage[]>,
  onError: ((error: OstrataError) => void) | undefined,
): void {
  const report = {
    damage(error: OstrataError) {
      if (onError === undefined) {
        throw error;
      }
      onError(error);
    },
  };
  // Comparing base names first is fast, and few files pass.
  const names = new Set(
    Array.from(wanted.keys(), (path) => byteString(Buffer.from(posix.basename(path)))),
  );
  for (const pkg of packages) {
    attempt(report, () => {
      const context = `package ${pkg.nevra}`;
      const paths = inContext(context, () => [...installedPaths(pkg, names)]);
      for (const path of paths) {
        addOwner(wanted.get(canonical.of(path)), pkg);
      }
    });
  }
}

function addOwner(owners: RpmPackage[] | undefined, pkg: RpmPackage): void {
  if (owners !== undefined && owners.at(-1) !== pkg) {
    owners.push(pkg);
  }
}

/**
 * The paths of installed files with one of these base names. A path that is not UTF-8 cannot be
 * asked for.
 */
function* installedPaths(pkg: RpmPackage, names: ReadonlySet<string>): Generator<string> {
  const paths = pathsOf(pkg.header);
  let states: readonly number[] | undefined;
  for (let i = 0; i < paths.count; i++) {
    if (!names.has(posix.basename(paths.base(i)))) {
      continue;
    }
    states ??= pkg.header.numbers(Tag.FILESTATES) ?? [];
    if (!isInstalled(fileState(states[i]))) {
      continue;
    }
    const path = decodeUtf8(Buffer.from(paths.at(i), 'latin1'));
    if (path !== undefined) {
      yield path;
    }
  }
}

/**
 * Gives each file one path, whatever symlinked directories lead to it. Missing directories keep
 * their names.
 */
class CanonicalPaths {
  readonly #files: PathLookup;
  readonly #directories = new Map<string, string>([['/', '/']]);

  constructor(files: PathLookup) {
    this.#files = files;
  }

  /** Does not follow the last component. @param path absolute */
  of(path: string): string {
    return posix.join(this.#directory(posix.dirname(path)), posix.basename(path));
  }

  #directory(path: string): string {
    if (path.length > PATH_MAX) {
      return path;
    }
    const known = this.#directories.get(path);
    if (known !== undefined) {
      return known;
    }
    const entry = this.#files.resolve(path, true);
    const canonical = entry?.type === 'directory' ? entry.path : this.of(path);
    this.#directories.set(path, canonical);
    return canonical;
  }
}
