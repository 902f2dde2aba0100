import type { FileMap } from '../../../src/tree/filemap.js';
import type { RegularFile, TreePath } from '../../../src/tree/tree.js';

/** Where distributions keep the database, most recent convention first; on most systems the others are symlinks to one. */
const DIRECTORIES = ['/usr/lib/sysimage/rpm', '/usr/share/rpm', '/var/lib/rpm'];
/** rpm-ostree's copy of the base commit's database: the same packages again, so only where there is no other. */
const FALLBACK_DIRECTORY = '/usr/lib/sysimage/rpm-ostree-base-db';
/** Most recent format first: a converted database may have left its predecessor behind. */
const DATABASES = ['rpmdb.sqlite', 'Packages.db', 'Packages'];

/** Where a tree's package database lies. Paths are resolved: no component is a symlink. */
export interface RpmdbLocation {
  readonly database: TreePath;
  readonly wal?: TreePath;
  readonly journal?: TreePath;
}

/**
 * Finds the package database of a tree; undefined where it has none. An empty file counts only where there is nothing
 * else (rpm leaves some behind). `directory` is looked into instead of the usual places, like rpm's `--dbpath`. No I/O.
 */
export function findRpmdb(files: FileMap, directory?: string): RpmdbLocation | undefined {
  const places = directory === undefined ? [...DIRECTORIES, FALLBACK_DIRECTORY] : [directory];
  const found = places.flatMap((place) => DATABASES.flatMap((name) => regularFile(files, `${place}/${name}`) ?? []));
  const database = found.find((file) => file.size > 0) ?? found[0];
  if (database === undefined) return undefined;
  const wal = regularFile(files, `${database.path}-wal`);
  const journal = regularFile(files, `${database.path}-journal`);
  return { database: database.path, ...(wal && { wal: wal.path }), ...(journal && { journal: journal.path }) };
}

function regularFile(files: FileMap, path: string): RegularFile | undefined {
  const entry = files.resolve(path, true);
  return entry?.type === 'file' ? entry : undefined;
}
