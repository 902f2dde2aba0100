/** What `ostrata diff` compares: images, folders, ostree commits and RPM databases. */
import { existsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { openRpmdbAt } from '../../../plugins/rpm/rpmdb/index.js';
import { inContext, inContextAsync, OstrataError } from '../../errors.js';
import { type DescribedImage, describeImage } from '../../image/encapsulated.js';
import type { Context, Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import { type ImageConfig, type Manifest, parseConfig } from '../../oci/types.js';
import { openRepo } from '../../ostree/repo.js';
import { isImgref } from '../../transports/image-reference.js';
import { openLargeCommitTree } from '../../tree/commit.js';
import { openDirectoryTree } from '../../tree/directory-tree.js';
import { imageLayers } from '../../tree/layer-source.js';
import {
  type LayerIndexStore,
  openSpooledImage,
  type SpooledImage,
} from '../../tree/spooled-image.js';
import type { Tree } from '../../tree/tree.js';
import type { OpenImage } from '../options/registry.js';
import { openDatabaseLayers } from '../rpmdb/database-layers.js';
import {
  DATABASE_FOLDERS,
  DATABASE_KINDS,
  listRpmdb,
  type PackageList,
  readPackages,
} from './packages.js';

/** What an argument names. */
export type Location =
  | { readonly kind: 'image'; readonly imgref: string }
  | { readonly kind: 'commit'; readonly repo: string; readonly ref: string }
  | { readonly kind: 'directory' | 'rpmdb'; readonly path: string };

export interface OpenedImage extends DescribedImage {
  readonly manifestDigest: string;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/** One side of the comparison. */
export interface Input {
  readonly kind: Location['kind'];
  readonly name: string;
  /** Undefined if it has no package database. */
  readonly list: PackageList | undefined;
  readonly image?: OpenedImage | undefined;
  /** The whole tree; undefined unless files are compared. */
  readonly tree?: SpooledImage | undefined;
  /** Removes what was spooled, and closes the image. */
  readonly close: () => Promise<void>;
}

export interface InputOptions extends Context {
  /** Whether files are compared. */
  readonly readsFiles: boolean;
  readonly open: OpenImage;
  readonly spool?: string | undefined;
  /** Keeps what was found out about the layers that both images have. */
  readonly indexes: LayerIndexStore;
}

const RPMDB_FILES = ['rpmdb.sqlite', 'Packages.db', 'Packages'];

/**
 * Returns what `text` names: an image reference, REPO:REF, the path of a folder, or that of an RPM
 * database. Throws `NOT_FOUND` if there is no such path.
 */
export function locate(text: string, repo: string | undefined): Location {
  if (isImgref(text)) {
    return { kind: 'image', imgref: text };
  }
  if (repo !== undefined && !/^[/.]/.test(text)) {
    return { kind: 'commit', repo, ref: text };
  }
  const stats = inContext('reading', () => statSync(text, { throwIfNoEntry: false }));
  if (stats === undefined) {
    return commitLocation(text);
  }
  const isDatabase = !stats.isDirectory() || RPMDB_FILES.some((name) => isFile(join(text, name)));
  if (!isDatabase && isRepo(text)) {
    const example = `${text}:REF`;
    throw new OstrataError('USAGE', `${text} is an ostree repository: name a ref, ${example}`);
  }
  return { kind: isDatabase ? 'rpmdb' : 'directory', path: text };
}

/** The name of a ref has no colon, but that of a remote ends in one: `REPO:fedora:os/stable`. */
function commitLocation(text: string): Location {
  for (let end = text.indexOf(':'); end > 0; end = text.indexOf(':', end + 1)) {
    const path = text.slice(0, end);
    if (isRepo(path)) {
      return { kind: 'commit', repo: path, ref: text.slice(end + 1) };
    }
  }
  throw new OstrataError(
    'NOT_FOUND',
    `${text}: no such file or folder; an image begins with its transport, such as registry:, ` +
      'and a commit is REPO:REF',
  );
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isRepo(path: string): boolean {
  return existsSync(join(path, 'objects')) && isFile(join(path, 'config'));
}

/** Reads one side. */
export async function openInput(location: Location, options: InputOptions): Promise<Input> {
  const { log } = options;
  switch (location.kind) {
    case 'image':
      return openImageInput(location.imgref, options);
    case 'rpmdb': {
      const { kind, path } = location;
      const list = listRpmdb(await openRpmdbAt(path), log);
      return { kind, name: path, list, close: async () => {} };
    }
    case 'directory':
      return openDirectory(location.path, options);
    case 'commit': {
      const repo = openRepo(location.repo);
      const tree = await openLargeCommitTree(repo, repo.resolve(location.ref), log);
      return inputOf('commit', `${location.repo}:${location.ref}`, tree, log);
    }
  }
}

async function inputOf(
  kind: Location['kind'],
  name: string,
  tree: SpooledImage,
  log: Logger,
): Promise<Input> {
  const close = async () => tree.close?.();
  try {
    return { kind, name, list: await readPackages(tree, log), tree, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Without files, only the folders of package databases are read. */
async function openDirectory(path: string, options: InputOptions): Promise<Input> {
  const { readsFiles, log, signal } = options;
  const tree = await openDirectoryTree(path, {
    log,
    signal,
    jobs: availableParallelism(),
    skipSpecialFiles: true,
    // The running system has /proc and the like.
    oneFileSystem: true,
    isPruned: readsFiles ? undefined : (each) => !leadsToDatabase(each),
  });
  const input = await inputOf('directory', path, tree, log);
  return readsFiles ? input : { ...input, tree: undefined };
}

function leadsToDatabase(path: string): boolean {
  return DATABASE_FOLDERS.some(
    (folder) => `${folder}/`.startsWith(`${path}/`) || path.startsWith(`${folder}/`),
  );
}

async function openImageInput(imgref: string, options: InputOptions): Promise<Input> {
  const { open, log } = options;
  const reader = await open(imgref);
  const closeReader = async () => reader.close?.();
  try {
    const described = await inContextAsync(`reading ${imgref}`, () => describeImage(reader, log));
    const { manifestDigest, manifest } = reader;
    const config = parseConfig(await reader.config());
    const image = { ...described, manifestDigest, manifest, config };
    const tree = await openTree(reader, image, options);
    const input = await inputOf('image', imgref, tree, log);
    const close = async () => {
      await input.close();
      await closeReader();
    };
    return { ...input, image, tree: options.readsFiles ? tree : undefined, close };
  } catch (error) {
    await closeReader();
    throw error;
  }
}

/** Without files, only the layers that hold package databases are read. */
async function openTree(
  reader: ImageReader,
  image: OpenedImage,
  { readsFiles, spool, indexes, log, signal }: InputOptions,
): Promise<SpooledImage> {
  if (!readsFiles) {
    return openDatabaseLayers(reader, image.layers, DATABASE_KINDS, { spool, log, signal });
  }
  return openSpooledImage(await imageLayers(reader), {
    log,
    signal,
    spool,
    indexes,
    jobs: availableParallelism(),
    skipSpecialFiles: true,
    listsLayers: true,
  });
}

/** Returns the whole tree of a side, which has one if files are compared. */
export function treeOf({ tree, name }: Input): Tree {
  if (tree === undefined) {
    throw new OstrataError('USAGE', `${name} has no files`);
  }
  return tree;
}
