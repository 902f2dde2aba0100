/** Where a package database is read from: options of all `ostrata rpmdb` commands. */
import type { Command } from 'commander';
import { type LocatedRpmdb, openRpmdbAt, openTreeRpmdb } from '../../plugins/rpm/rpmdb/index.js';
import { OstrataError } from '../errors.js';
import { lookupDirectory } from '../tree/directory.js';
import type { LookupTree } from '../tree/lookup.js';
import { type LogOptions, terminalLogger } from './terminal.js';

export interface SourceOptions extends LogOptions {
  readonly root?: string;
  readonly repo?: string;
  readonly image?: string;
  readonly dbpath?: string;
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

export function addSourceOptions(command: Command): Command {
  return command
    .option('--root <dir>', 'read the system in this folder (default: / unless another source is given)')
    .option('--repo <path>', 'read a commit of this ostree repository: the first argument is its ref')
    .option('--image <imgref>', 'read a container image: oci:DIR[:TAG] or oci-archive:FILE[:TAG]')
    .option(
      '--dbpath <path>',
      'the database folder within that tree; alone, a database file or folder of this machine',
    );
}

/**
 * Opens the database that `options` name; what it does not take to read it is not loaded: that would take longer than reading.
 * @param args the command's arguments; with --repo the first one is the ref
 */
export async function openSource(options: SourceOptions, args: readonly string[]): Promise<Source> {
  const { root, repo, image, dbpath } = options;
  if ([root, repo, image].filter((each) => each !== undefined).length > 1)
    throw new OstrataError('USAGE', 'give one of --root, --repo and --image');
  if (repo !== undefined) {
    const [ref, ...rest] = args;
    if (ref === undefined) throw new OstrataError('USAGE', '--repo: expected the ref as first argument');
    const { openRepo } = await import('../ostree/repo.js');
    const { lookupCommit } = await import('../tree/commit-lookup.js');
    const opened = openRepo(repo);
    return fromTree(lookupCommit(opened, opened.resolve(ref)), dbpath, rest);
  }
  if (image !== undefined) {
    const { openImage } = await import('../transports/imgref.js');
    const { openImageTree } = await import('../tree/image.js');
    return fromTree(await openImageTree(await openImage(image), terminalLogger(options)), dbpath, args);
  }
  if (root === undefined && dbpath !== undefined) {
    const database = await openRpmdbAt(dbpath);
    return { database, name: dbpath, tree: undefined, rest: args };
  }
  const directory = root ?? '/';
  const database = await openRpmdbAt(directory, dbpath);
  return { database, name: directory, tree: lookupDirectory(directory), rest: args };
}

async function fromTree(tree: LookupTree, dbpath: string | undefined, rest: readonly string[]): Promise<Source> {
  return { database: await openTreeRpmdb(tree, dbpath), name: tree.name, tree, rest };
}
