/** Where a tree keeps its package database. */
import { OstrataError } from '../../../src/errors.js';
import type { LookupTree, PathLookup } from '../../../src/tree/lookup.js';
import type { RegularFile, TreePath } from '../../../src/tree/tree.js';
import { openRpmdb, type Rpmdb, type RpmdbFiles } from './open.js';

/**
 * Directories in which distributions keep the database, the newest convention first. Most systems
 * link the others to one.
 */
const DIRECTORIES = ['/usr/lib/sysimage/rpm', '/usr/share/rpm', '/var/lib/rpm'];
/**
 * rpm-ostree's copy of the database of the base commit. It has the same packages again, so it is
 * only the last resort.
 */
const FALLBACK_DIRECTORY = '/usr/lib/sysimage/rpm-ostree-base-db';
/**
 * File names of the database, the newest format first: a converted database may have left its
 * predecessor behind.
 */
const DATABASES = ['rpmdb.sqlite', 'Packages.db', 'Packages'];

/** Where a tree's package database lies. No directory in these paths is a symlink. */
export interface RpmdbLocation {
  readonly database: TreePath;
  readonly wal?: TreePath | undefined;
  readonly journal?: TreePath | undefined;
}

/** A package database and where it was found. */
export interface LocatedRpmdb extends Rpmdb {
  readonly location: RpmdbLocation;
}

/**
 * Finds the package database of a tree; returns undefined if there is none. An empty file counts
 * only if there is no other: rpm leaves some behind. Does no I/O except through `files`.
 * @param directory where to look instead of the usual directories, like rpm's `--dbpath`
 */
export function findRpmdb(files: PathLookup, directory?: string): RpmdbLocation | undefined {
  const found: RegularFile[] = [];
  for (const parent of directoriesToSearch(directory)) {
    for (const name of DATABASES) {
      const file = regularFile(files, `${parent}/${name}`);
      if (file !== undefined) {
        found.push(file);
      }
    }
  }
  const database = found.find((file) => file.size > 0) ?? found[0];
  return database && locationOf(files, database.path);
}

function directoriesToSearch(directory: string | undefined): readonly string[] {
  return directory === undefined ? [...DIRECTORIES, FALLBACK_DIRECTORY] : [directory];
}

/** Returns the location of a database file and of what lies beside it. */
export function locationOf(files: PathLookup, database: TreePath): RpmdbLocation {
  return {
    database,
    wal: regularFile(files, `${database}-wal`)?.path,
    journal: regularFile(files, `${database}-journal`)?.path,
  };
}

/** Reads the database at `location`. @param root what its paths begin with in messages */
export async function readRpmdbFiles(
  tree: LookupTree,
  location: RpmdbLocation,
  root = '',
): Promise<RpmdbFiles> {
  const { database, wal, journal } = location;
  return {
    name: `${root}${database}`,
    database: await tree.bytes(database),
    wal: wal && (await tree.bytes(wal)),
    journal: journal && (await tree.bytes(journal)),
  };
}

/**
 * Opens the package database of a tree: of a folder, an ostree commit or an image. Throws
 * `NOT_FOUND` if there is none, and what openRpmdb throws.
 * @param directory where to look instead of the usual directories, like rpm's `--dbpath`
 */
export async function openTreeRpmdb(tree: LookupTree, directory?: string): Promise<LocatedRpmdb> {
  const location = requireRpmdb(tree, directory);
  const files = await readRpmdbFiles(tree, location);
  return { ...(await openRpmdb(files)), location };
}

/** Like {@link findRpmdb}, but throws `NOT_FOUND` if there is no database. */
export function requireRpmdb(tree: LookupTree, directory?: string): RpmdbLocation {
  const location = findRpmdb(tree.files, directory);
  if (location !== undefined) {
    return location;
  }
  const searched = directory ?? `any of ${DIRECTORIES.join(', ')}`;
  throw new OstrataError(
    'NOT_FOUND',
    `${tree.name}: no package database (${DATABASES.join(', ')}) in ${searched}`,
  );
}

function regularFile(files: PathLookup, path: string): RegularFile | undefined {
  const entry = files.resolve(path, true);
  return entry?.type === 'file' ? entry : undefined;
}
