/** Where a package database is read from: options of all `ostrata rpmdb` commands. */
import type { Command } from 'commander';
import {
  type LocatedRpmdb,
  openRpmdbAt,
  openTreeRpmdb,
  rpmdbPaths,
} from '../../../plugins/rpm/rpmdb/index.js';
import { OstrataError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import { lookupDirectory } from '../../tree/directory.js';
import type { LookupTree } from '../../tree/lookup.js';
import { imageOpener, type RegistryOptions } from '../options/registry.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { SoundPackages } from './damage.js';

/** The component of an encapsulated image that holds the database, as the plugin rpm names it. */
const RPMDB_COMPONENT = 'rpmdb';

export interface RpmdbSourceOptions extends LogOptions, RegistryOptions {
  readonly root?: string | undefined;
  readonly repo?: string | undefined;
  readonly image?: string | undefined;
  readonly dbpath?: string | undefined;
}

export interface Source {
  readonly database: LocatedRpmdb;
  /** The packages of the database; those that are damaged are left out with a warning. */
  readonly packages: SoundPackages;
  /** Names the source in messages. */
  readonly name: string;
  /** The tree that holds the database; undefined for a database file or folder. */
  readonly tree: LookupTree | undefined;
  /** The arguments of the command, without the ref. */
  readonly args: readonly string[];
}

/** `--root`, `--repo`, `--image` and `--dbpath`. */
export function rpmdbSourceOptions(command: Command): Command {
  return command
    .optionsGroup('Source of the database:')
    .option('--root <dir>', 'the system in this folder (default: the running system)')
    .option(
      '--repo <path>',
      'a commit of this ostree repository; the first argument is its ref or id',
    )
    .option(
      '--image <imgref>',
      'a container image: registry:IMAGE, oci:DIR[:TAG], oci-archive:FILE[:TAG], ...',
    )
    .option(
      '--dbpath <path>',
      'a database file or folder; with another source, the folder in that tree',
    );
}

/**
 * Opens the database that `options` name. Modules that the source does not need are not loaded:
 * that would take longer than reading a database.
 * @param args the arguments of the command; with `--repo`, the first one is the ref
 * @param needsTree whether paths of the tree are looked up, besides those of the database
 */
export async function openSource(
  options: RpmdbSourceOptions,
  args: readonly string[],
  needsTree: boolean,
): Promise<Source> {
  const opened = await openDatabase(options, args, needsTree);
  return { ...opened, packages: new SoundPackages(opened.database, terminalLogger(options)) };
}

type OpenedDatabase = Omit<Source, 'packages'>;

async function openDatabase(
  options: RpmdbSourceOptions,
  args: readonly string[],
  needsTree: boolean,
): Promise<OpenedDatabase> {
  const { root, repo, image, dbpath } = options;
  if ([root, repo, image].filter((each) => each !== undefined).length > 1) {
    throw new OstrataError('USAGE', 'give one of --root, --repo and --image');
  }
  if (repo !== undefined) {
    return openCommitSource(repo, args, dbpath);
  }
  if (image !== undefined) {
    return openImageSource(image, options, args, needsTree);
  }
  if (root === undefined && dbpath !== undefined) {
    const database = await openRpmdbAt(dbpath);
    return { database, name: dbpath, tree: undefined, args };
  }
  const directory = root ?? '/';
  const database = await openRpmdbAt(directory, dbpath);
  return { database, name: directory, tree: lookupDirectory(directory), args };
}

async function openCommitSource(
  repo: string,
  [ref, ...args]: readonly string[],
  dbpath: string | undefined,
): Promise<OpenedDatabase> {
  if (ref === undefined) {
    throw new OstrataError('USAGE', '--repo: expected the ref as first argument');
  }
  const { openRepo } = await import('../../ostree/repo.js');
  const { lookupCommit } = await import('../../tree/commit-lookup.js');
  const opened = openRepo(repo);
  return treeSource(lookupCommit(opened, opened.resolve(ref)), dbpath, args);
}

async function openImageSource(
  imgref: string,
  options: RpmdbSourceOptions,
  args: readonly string[],
  needsTree: boolean,
): Promise<OpenedDatabase> {
  const { dbpath } = options;
  const log = terminalLogger(options);
  const image = await imageOpener(options, [imgref], log)(imgref);
  try {
    return await treeSource(await imageTree(image, needsTree, dbpath, log), dbpath, args);
  } finally {
    await image.close?.();
  }
}

/**
 * Reads only the layers that hold the database if that is enough and the image records which they
 * are.
 */
async function imageTree(
  image: ImageReader,
  needsTree: boolean,
  dbpath: string | undefined,
  log: Logger,
): Promise<LookupTree> {
  const { lookupEncapsulated } = await import('../../image/lookup.js');
  const { openImageTree } = await import('../../tree/image.js');
  const partialTree = needsTree
    ? undefined
    : await lookupEncapsulated(image, rpmdbPaths(dbpath), RPMDB_COMPONENT, log);
  return partialTree ?? openImageTree(image, log);
}

async function treeSource(
  tree: LookupTree,
  dbpath: string | undefined,
  args: readonly string[],
): Promise<OpenedDatabase> {
  return { database: await openTreeRpmdb(tree, dbpath), name: tree.name, tree, args };
}
