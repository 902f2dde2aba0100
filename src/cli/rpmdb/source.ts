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

/** The component of an encapsulated image that holds the database, as plugin rpm names it. */
const RPMDB_COMPONENT = 'rpmdb';

export interface RpmdbSourceOptions extends LogOptions, RegistryOptions {
  readonly root?: string | undefined;
  readonly repo?: string | undefined;
  readonly image?: string | undefined;
  readonly dbpath?: string | undefined;
}

export interface Source {
  readonly database: LocatedRpmdb;
  /** Where it lies, as in messages. */
  readonly name: string;
  /** Undefined for a database alone. */
  readonly tree: LookupTree | undefined;
  /** The command's arguments but for the ref. */
  readonly rest: readonly string[];
}

export function rpmdbSourceOptions(command: Command): Command {
  return command
    .option(
      '--root <dir>',
      'read the system in this folder (default: / unless another source is given)',
    )
    .option(
      '--repo <path>',
      'read a commit of this ostree repository: the first argument is its ref',
    )
    .option(
      '--image <imgref>',
      'read a container image: registry:IMAGE, oci:DIR[:TAG], oci-archive:FILE[:TAG], ...',
    )
    .option(
      '--dbpath <path>',
      'the database folder within that tree; alone, a database file or folder of this machine',
    );
}

/**
 * Opens the database that `options` name; what it does not take to read it is not loaded: that would take longer than reading.
 * @param args the command's arguments; with --repo the first one is the ref
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
  if (repo !== undefined) {
    const [ref, ...rest] = args;
    if (ref === undefined) {
      throw new OstrataError('USAGE', '--repo: expected the ref as first argument');
    }
    const { openRepo } = await import('../../ostree/repo.js');
    const { lookupCommit } = await import('../../tree/commit-lookup.js');
    const opened = openRepo(repo);
    return fromTree(lookupCommit(opened, opened.resolve(ref)), dbpath, rest);
  }
  if (image !== undefined) {
    const log = terminalLogger(options);
    const reader = await imageOpener(options, [image], log)(image);
    try {
      return await fromTree(await imageTree(reader, needsTree, dbpath, log), dbpath, args);
    } finally {
      await reader.close?.();
    }
  }
  if (root === undefined && dbpath !== undefined) {
    const database = await openRpmdbAt(dbpath);
    return { database, name: dbpath, tree: undefined, rest: args };
  }
  const directory = root ?? '/';
  const database = await openRpmdbAt(directory, dbpath);
  return { database, name: directory, tree: lookupDirectory(directory), rest: args };
}

async function fromTree(
  tree: LookupTree,
  dbpath: string | undefined,
  rest: readonly string[],
): Promise<Source> {
  return { database: await openTreeRpmdb(tree, dbpath), name: tree.name, tree, rest };
}

/** Of an encapsulated commit only the layers that hold the database are read, unless more is asked for. */
async function imageTree(
  image: ImageReader,
  needsTree: boolean,
  dbpath: string | undefined,
  log: Logger,
): Promise<LookupTree> {
  const { lookupEncapsulated } = await import('../../image/lookup.js');
  const { openImageTree } = await import('../../tree/image.js');
  const few = needsTree
    ? undefined
    : await lookupEncapsulated(image, rpmdbPaths(dbpath), RPMDB_COMPONENT, log);
  return few ?? openImageTree(image, log);
}
