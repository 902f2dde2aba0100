/** What packages list of the files and symlinks of a tree: owners, and how they were shipped. */
import {
  compareUtf8,
  decodeUtf8,
  type FileEntry,
  type MissingFile,
  type PathLookup,
  PathOwners,
  type ShippedFile,
  type TreePath,
} from '../../src/plugin.js';
import { movedPaths, type RpmFile } from './rpmdb/index.js';

/** The paths in the tree that a package owns. */
interface OwnedPaths {
  readonly component: string;
  readonly paths: readonly TreePath[];
}

/**
 * The files of all packages. Ghosts, files that were not installed and directories are left out:
 * their package does not own their content.
 */
export class InstalledFiles {
  readonly #tree: PathLookup;
  readonly #owned: OwnedPaths[] = [];
  readonly #shipped = new Map<TreePath, ShippedFile>();
  readonly #missing: MissingFile[] = [];

  constructor(tree: PathLookup) {
    this.#tree = tree;
  }

  /** What packages shipped, by the path where it lies in the tree. */
  get shipped(): ReadonlyMap<TreePath, ShippedFile> {
    return this.#shipped;
  }
  /** What packages shipped and the tree lacks. */
  get missing(): readonly MissingFile[] {
    return this.#missing;
  }

  /** Adds the files of one package, which belongs to `component`. */
  add(component: string, files: Iterable<RpmFile>): void {
    const paths: TreePath[] = [];
    for (const file of files) {
      if (file.isGhost || !file.isInstalled || file.path === undefined) {
        continue;
      }
      const entry = locate(this.#tree, file.path);
      const shipped = shippedFile(file, entry);
      if (entry === undefined) {
        this.#missing.push({ component, file: shipped });
      } else {
        this.#shipped.set(entry.path, shipped);
        paths.push(entry.path);
      }
    }
    this.#owned.push({ component, paths });
  }

  /** Returns the owners of paths, those of one path in byte order of their ids. */
  owners(): PathOwners {
    const owners = new PathOwners();
    const sorted = this.#owned.toSorted((a, b) => compareUtf8(a.component, b.component));
    for (const { component, paths } of sorted) {
      for (const path of paths) {
        owners.add(path, component);
      }
    }
    return owners;
  }
}

/**
 * Returns the entry of the file that is installed as `path`; undefined if the tree lacks it, or if
 * it is a directory.
 */
function locate(tree: PathLookup, path: string): FileEntry | undefined {
  const direct = tree.resolve(path);
  if (direct !== undefined) {
    return direct.type === 'directory' ? undefined : direct;
  }

  for (const moved of movedPaths(path)) {
    const entry = tree.resolve(moved);
    if (entry !== undefined && entry.type !== 'directory') {
      return entry;
    }
  }
  return undefined;
}

function shippedFile(
  { mtime, size, digest, digestAlgorithm, linkTo }: RpmFile,
  entry: FileEntry | undefined,
): ShippedFile {
  const target = decodeUtf8(linkTo);
  if (digestAlgorithm !== 'sha256') {
    return { mtime, size, sha256: undefined, target };
  }
  // Nearly all digests are those of the tree, and need not be in memory twice.
  const found = entry?.type === 'file' ? entry.contentDigest : undefined;
  const sha256 = found === digest ? found : digest;
  return { mtime, size, sha256, target };
}
