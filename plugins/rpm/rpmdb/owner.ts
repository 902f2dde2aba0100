import { posix } from 'node:path';
import { decodeUtf8 } from '../../../src/bytes/text.js';
import type { PathLookup } from '../../../src/tree/lookup.js';
import { fileState, isInstalled, pathsOf } from './file.js';
import { byteString } from './header.js';
import { originalPaths } from './moved.js';
import type { RpmPackage } from './package.js';
import { Tag } from './tags.js';

/** Nothing on Linux has a longer path; bounds how deep looking for a directory goes. */
const PATH_MAX = 4096;

/** Which packages own a path. */
export interface PathOwners {
  /** As it was asked for. */
  readonly path: string;
  /** By ascending package number; none: nobody owns it. */
  readonly owners: readonly RpmPackage[];
  /** Where its packages install it, if that is another place: an ostree-shaped tree keeps it elsewhere. */
  readonly installedAs: string | undefined;
}

/**
 * The owners of `paths` by the packages of a tree, as `rpm -qf` answers: of files, directories and ghosts that are
 * installed, through symlinked directories. A path that is there, while the place from which ostree moved it is empty, is
 * asked for by that place too. Paths are taken from the root of the tree.
 */
export function findOwners(
  packages: Iterable<RpmPackage>,
  files: PathLookup,
  paths: readonly string[],
): PathOwners[] {
  const places = new Places(files);
  const wanted = new Map<string, RpmPackage[]>();
  const ownersAt = (path: string): readonly RpmPackage[] => {
    const place = places.of(path);
    const owners = wanted.get(place) ?? [];
    wanted.set(place, owners);
    return owners;
  };
  const questions = paths.map((path) => {
    const absolute = posix.resolve('/', path);
    const origins = files.resolve(absolute) === undefined ? [] : originalPaths(places.of(absolute));
    const moved = origins.filter((origin) => files.resolve(origin) === undefined);
    return {
      path,
      direct: ownersAt(absolute),
      moved: moved.map((installedAs) => ({ installedAs, owners: ownersAt(installedAs) })),
    };
  });
  collectOwners(packages, places, wanted);
  return questions.map(({ path, direct, moved }) => {
    const found = direct.length > 0 ? undefined : moved.find(({ owners }) => owners.length > 0);
    return { path, owners: found?.owners ?? direct, installedAs: found?.installedAs };
  });
}

/** Adds to each place that is wanted the packages that have it installed. */
function collectOwners(
  packages: Iterable<RpmPackage>,
  places: Places,
  wanted: ReadonlyMap<string, RpmPackage[]>,
): void {
  // Names are compared before places: few files have one of those.
  const names = new Set(
    Array.from(wanted.keys(), (place) => byteString(Buffer.from(posix.basename(place)))),
  );
  for (const pkg of packages) {
    const paths = pathsOf(pkg.header);
    let states: readonly number[] | undefined;
    for (let i = 0; i < paths.count; i++) {
      if (!names.has(posix.basename(paths.base(i)))) {
        continue;
      }
      states ??= pkg.header.numbers(Tag.FILESTATES) ?? [];
      const path = isInstalled(fileState(states[i]))
        ? decodeUtf8(Buffer.from(paths.at(i), 'latin1'))
        : undefined;
      const owners = path === undefined ? undefined : wanted.get(places.of(path));
      if (owners !== undefined && owners.at(-1) !== pkg) {
        owners.push(pkg);
      }
    }
  }
}

/** Names places in one way, whatever symlinked directories lead there. What is not there keeps its name. */
class Places {
  readonly #files: PathLookup;
  readonly #directories = new Map<string, string>([['/', '/']]);

  constructor(files: PathLookup) {
    this.#files = files;
  }

  /** @param path absolute; a symlink itself is a place of its own */
  of(path: string): string {
    return posix.join(this.#directory(posix.dirname(path)), posix.basename(path));
  }

  #directory(path: string): string {
    const known = path.length > PATH_MAX ? path : this.#directories.get(path);
    if (known !== undefined) {
      return known;
    }
    const entry = this.#files.resolve(path, true);
    const place = entry?.type === 'directory' ? entry.path : this.of(path);
    this.#directories.set(path, place);
    return place;
  }
}
