/** Where a package database is read from: options of all `ostrata rpmdb` commands. */
import type { Command } from 'commander';
import { type LocatedRpmdb, openRpmdbAt, openTreeRpmdb } from '../../../plugins/rpm/rpmdb/index.js';
import { OstrataError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import { lookupDirectory } from '../../tree/directory.js';
import type { LookupTree, ReadableTree } from '../../tree/lookup.js';
import { imageOpener, type RegistryOptions } from '../options/registry.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { interruptSignal } from '../run.js';
import { SoundPackages } from './damage.js';

export interface RpmdbSourceOptions extends LogOptions, RegistryOptions {
  readonly root?: string | undefined;
  readonly repo?: string | undefined;
  readonly image?: string | undefined;
  readonly dbpath?: string | undefined;
}

/** A tree of which perhaps only the database can be read. */
type PartialTree = LookupTree & Partial<ReadableTree>;

/** Without {@link close}, the tree can be read as long as its image is open. */
interface ImageTree extends PartialTree {
  /** Removes what was read of an image to find its database. */
  readonly close?: (() => void) | undefined;
}

export interface Source {
  readonly database: LocatedRpmdb;
  /** The packages of the database; those that are damaged are left out with a warning. */
  readonly packages: SoundPackages;
  readonly log: Logger;
  /** Names the source in messages. */
  readonly name: string;
  /** The tree that holds the database; undefined for a database file or folder. */
  readonly tree: PartialTree | undefined;
  /** The arguments of the command, without the ref. */
  readonly args: readonly string[];
  /** Releases the image; nothing of the tree can be read afterwards. */
  readonly close: () => Promise<void>;
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

/** What every source is opened with. */
interface Request {
  /** The folder of the database in the tree, if it is not a usual one. */
  readonly dbpath?: string | undefined;
  readonly args: readonly string[];
  readonly log: Logger;
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
  const { root, repo, image, dbpath } = options;
  if ([root, repo, image].filter((each) => each !== undefined).length > 1) {
    throw new OstrataError('USAGE', 'give one of --root, --repo and --image');
  }
  const log = terminalLogger(options);
  if (repo !== undefined) {
    const [ref, ...rest] = args;
    if (ref === undefined) {
      throw new OstrataError('USAGE', '--repo: expected the ref as first argument');
    }
    return openCommitSource(repo, ref, { dbpath, args: rest, log });
  }
  if (image !== undefined) {
    const open = imageOpener(options, [image], log);
    return openImageSource(await open(image), { dbpath, args, log }, needsTree);
  }
  if (root === undefined && dbpath !== undefined) {
    return openPathSource(dbpath, { args, log });
  }
  const directory = root ?? '/';
  const database = await openRpmdbAt(directory, dbpath);
  return sourceOf(database, directory, lookupDirectory(directory), { args, log });
}

/** Opens the database that is a file, or in a folder or the root folder of a system. */
export async function openPathSource(path: string, request: Request): Promise<Source> {
  return sourceOf(await openRpmdbAt(path), path, undefined, request);
}

/** Opens the database of a commit. @param ref a ref or a commit id */
export async function openCommitSource(
  repo: string,
  ref: string,
  request: Request,
): Promise<Source> {
  const { openRepo } = await import('../../ostree/repo.js');
  const { lookupCommit } = await import('../../tree/commit-lookup.js');
  const opened = openRepo(repo);
  const tree = lookupCommit(opened, opened.resolve(ref));
  return sourceOf(await openTreeRpmdb(tree, request.dbpath), tree.name, tree, request);
}

/**
 * Opens the database of an image. Only the layers that hold it are read, unless paths of the tree
 * are looked up. Closes the image if that fails.
 */
export async function openImageSource(
  image: ImageReader,
  request: Request,
  needsTree: boolean,
): Promise<Source> {
  const close = async () => image.close?.();
  try {
    const tree = needsTree ? await wholeTree(image, request) : await databaseTree(image, request);
    try {
      const database = await openTreeRpmdb(tree, request.dbpath);
      return sourceOf(database, tree.name, tree, request, close);
    } finally {
      tree.close?.();
    }
  } catch (error) {
    await close();
    throw error;
  }
}

async function wholeTree(image: ImageReader, { log }: Request): Promise<ImageTree> {
  const { openImageTree } = await import('../../tree/image.js');
  return openImageTree(image, log);
}

async function databaseTree(image: ImageReader, { dbpath, log }: Request): Promise<ImageTree> {
  const { describeImage } = await import('../../image/encapsulated.js');
  const { openDatabaseLayers, rpmdbKind } = await import('./database-layers.js');
  const { layers } = await describeImage(image, log);
  const context = { log, signal: interruptSignal };
  return openDatabaseLayers(image, layers, [rpmdbKind(dbpath)], context);
}

function sourceOf(
  database: LocatedRpmdb,
  name: string,
  tree: PartialTree | undefined,
  { args, log }: Request,
  close = async () => {},
): Source {
  return { database, packages: new SoundPackages(database, log), log, name, tree, args, close };
}
