import { realpathSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { inContext, OstrataError } from '../../../src/errors.js';
import { lookupDirectory } from '../../../src/tree/directory.js';
import type { LookupTree } from '../../../src/tree/lookup.js';
import {
  findRpmdb,
  type LocatedRpmdb,
  locationOf,
  type RpmdbLocation,
  readRpmdbFiles,
  requireRpmdb,
} from './locate.js';
import { openRpmdb } from './open.js';

/** How often a database is read again that was written meanwhile. */
const MAX_ATTEMPTS = 5;

/**
 * Opens a package database of this machine, read-only: no lock is taken and no file made beside it.
 * Throws `NOT_FOUND` where there is none, `IO` where it is written all the time, and as openRpmdb does.
 * @param path the database file, the folder it is in, or the root folder of a system
 * @param dbpath where below the root folder it is, instead of the usual places
 */
export async function openRpmdbAt(path: string, dbpath?: string): Promise<LocatedRpmdb> {
  const real = inContext('reading rpmdb', () => realpathSync(path));
  const isFile = inContext('reading rpmdb', () => statSync(real)).isFile();
  const root = isFile ? dirname(real) : real;
  const find = (tree: LookupTree) => {
    if (isFile) {
      return locationOf(tree.files, `/${basename(real)}`);
    }
    return (dbpath === undefined && findRpmdb(tree.files, '/')) || requireRpmdb(tree, dbpath);
  };
  for (let attempt = 1; ; attempt++) {
    const tree = lookupDirectory(root);
    const location = find(tree);
    const before = stamp(root, location);
    const files = await readRpmdbFiles(tree, location, root === '/' ? '' : root).catch(
      (error: unknown) => error as Error,
    );
    if (stamp(root, location) === before) {
      if (files instanceof Error) {
        throw files;
      }
      return { ...(await openRpmdb(files)), location };
    }
    if (attempt === MAX_ATTEMPTS) {
      throw new OstrataError(
        'IO',
        `reading rpmdb ${root}${location.database}: it is being written: changed ${attempt} times`,
      );
    }
  }
}

/** Equal as long as nobody writes the database or its log. */
function stamp(root: string, { database }: RpmdbLocation): string {
  return [database, `${database}-wal`, `${database}-journal`]
    .map((path) => statSync(root + path, { bigint: true, throwIfNoEntry: false }))
    .map((stats) => (stats === undefined ? '-' : `${stats.ino}:${stats.size}:${stats.mtimeNs}`))
    .join();
}
