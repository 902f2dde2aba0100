/** Opens package databases of this machine, which rpm may write at the same time. */
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
import { openRpmdb, type RpmdbFiles } from './open.js';

/** How often a database is read if it is written meanwhile. */
const MAX_ATTEMPTS = 5;

/**
 * Opens a package database of this machine. It takes no lock and creates no file. Throws
 * `NOT_FOUND` if there is none, `UNSUPPORTED` for a device, pipe or socket, `IO` if it is written
 * all the time, and what openRpmdb throws.
 * @param path the database file, the folder that holds it, or the root folder of a system
 * @param dbpath where it is below the root folder, instead of the usual directories
 */
export async function openRpmdbAt(path: string, dbpath?: string): Promise<LocatedRpmdb> {
  const real = inContext('reading rpmdb', () => realpathSync(path));
  const stats = inContext('reading rpmdb', () => statSync(real));
  const isFile = stats.isFile();
  if (!isFile && !stats.isDirectory()) {
    throw new OstrataError(
      'UNSUPPORTED',
      `reading rpmdb ${path}: neither a file nor a folder; a device, pipe or socket is not read`,
    );
  }
  const root = isFile ? dirname(real) : real;
  const locate = (tree: LookupTree) =>
    isFile ? locationOf(tree.files, `/${basename(real)}`) : locateBelow(tree, dbpath);

  for (let attempt = 1; ; attempt++) {
    const tree = lookupDirectory(root);
    const location = locate(tree);
    const files = await readUnlessWritten(root, tree, location);
    if (files !== undefined) {
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

/** Without `dbpath`, the root folder of a system may also be the folder that holds the database. */
function locateBelow(tree: LookupTree, dbpath: string | undefined): RpmdbLocation {
  const atRoot = dbpath === undefined ? findRpmdb(tree.files, '/') : undefined;
  return atRoot ?? requireRpmdb(tree, dbpath);
}

/**
 * Returns undefined if the database was written meanwhile, even if reading it failed: what was read
 * may be half old and half new.
 */
async function readUnlessWritten(
  root: string,
  tree: LookupTree,
  location: RpmdbLocation,
): Promise<RpmdbFiles | undefined> {
  const shownRoot = root === '/' ? '' : root;
  const stampBefore = stampOf(root, location);
  try {
    const files = await readRpmdbFiles(tree, location, shownRoot);
    return stampOf(root, location) === stampBefore ? files : undefined;
  } catch (error) {
    if (stampOf(root, location) === stampBefore) {
      throw error;
    }
    return undefined;
  }
}

/** Stays the same as long as nobody writes the database or its log. */
function stampOf(root: string, { database }: RpmdbLocation): string {
  const paths = [database, `${database}-wal`, `${database}-journal`];
  const stamps = paths.map((path) => {
    const stats = statSync(root + path, { bigint: true, throwIfNoEntry: false });
    return stats === undefined ? '-' : `${stats.ino}:${stats.size}:${stats.mtimeNs}`;
  });
  return stamps.join();
}
