import { posix } from 'node:path';
import { OstrataError } from '../../../src/errors.js';
import type { LookupTree, PathLookup } from '../../../src/tree/lookup.js';
import type { RegularFile, TreePath } from '../../../src/tree/tree.js';
import { openRpmdb, type Rpmdb, type RpmdbFiles } from './open.js';

/** Where distributions keep the database, most recent convention first; on most systems the others are symlinks to one. */
const DIRECTORIES = ['/usr/lib/sysimage/rpm', '/usr/share/rpm', '/var/lib/rpm'];
/** rpm-ostree's copy of the base commit's database: the same packages again, so only where there is no other. */
const FALLBACK_DIRECTORY = '/usr/lib/sysimage/rpm-ostree-base-db';
/** Most recent format first: a converted database may have left its predecessor behind. */
const DATABASES = ['rpmdb.sqlite', 'Packages.db', 'Packages'];

/** Where a tree's package database lies. Paths are resolved: no component is a symlink. */
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
 * Finds the package database of a tree; undefined where it has none. An empty file counts only where there is nothing
 * else (rpm leaves some behind). `directory` is looked into instead of the usual places, like rpm's `--dbpath`. No I/O
 * but that of `files`.
 */
export function findRpmdb(files: PathLookup, directory?: string): RpmdbLocation | undefined {
  const places = directory === undefined ? [...DIRECTORIES, FALLBACK_DIRECTORY] : [directory];
  const found = places.flatMap((place) =>
    DATABASES.flatMap((name) => regularFile(files, `${place}/${name}`) ?? []),
  );
  const database = found.find((file) => file.size > 0) ?? found[0];
  return database && locationOf(files, database.path);
}

/** All that findRpmdb looks for: what has to be there of a tree that is not whole. */
export function rpmdbPaths(directory?: string): TreePath[] {
  const places = directory === undefined ? [...DIRECTORIES, FALLBACK_DIRECTORY] : [directory];
  const files = DATABASES.flatMap((name) => [name, `${name}-wal`, `${name}-journal`]);
  return places.flatMap((place) =>
    files.map((file) => posix.resolve('/', place, file) as TreePath),
  );
}

/** A database file and what lies beside it. @param database resolved */
export function locationOf(files: PathLookup, database: TreePath): RpmdbLocation {
  const wal = regularFile(files, `${database}-wal`);
  const journal = regularFile(files, `${database}-journal`);
  return { database, ...(wal && { wal: wal.path }), ...(journal && { journal: journal.path }) };
}

/** All bytes of the database at `location`. @param root what its paths begin with in messages */
export async function readRpmdbFiles(
  tree: LookupTree,
  location: RpmdbLocation,
  root = '',
): Promise<RpmdbFiles> {
  const whole = async (path: TreePath | undefined) => path && tree.bytes(path);
  return {
    name: `${root}${location.database}`,
    database: await tree.bytes(location.database),
    wal: await whole(location.wal),
    journal: await whole(location.journal),
  };
}

/**
 * Opens the package database of a tree: a folder, an ostree commit, an image. Throws `NOT_FOUND` where there is none, and
 * as openRpmdb does. @param directory see findRpmdb
 */
export async function openTreeRpmdb(tree: LookupTree, directory?: string): Promise<LocatedRpmdb> {
  const location = requireRpmdb(tree, directory);
  return { ...(await openRpmdb(await readRpmdbFiles(tree, location))), location };
}

/** {@link findRpmdb}, `NOT_FOUND` where there is none. */
export function requireRpmdb(tree: LookupTree, directory?: string): RpmdbLocation {
  const location = findRpmdb(tree.files, directory);
  if (location !== undefined) {
    return location;
  }
  const places = directory ?? `any of ${DIRECTORIES.join(', ')}`;
  throw new OstrataError(
    'NOT_FOUND',
    `${tree.name}: no package database (${DATABASES.join(', ')}) in ${places}`,
  );
}

function regularFile(files: PathLookup, path: string): RegularFile | undefined {
  const entry = files.resolve(path, true);
  return entry?.type === 'file' ? entry : undefined;
}
