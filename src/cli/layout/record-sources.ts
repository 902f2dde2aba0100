/**
 * What `ostrata layout record` reads: the builds that its arguments name, found without reading
 * their packages.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { findRpmdb, openTreeRpmdb } from '../../../plugins/rpm/rpmdb/index.js';
import { globPattern } from '../../bytes/glob.js';
import { compareUtf8 } from '../../bytes/text.js';
import { inContextAsync, isNotFound, must, OstrataError } from '../../errors.js';
import { formatBuild, isDate } from '../../layout/series.js';
import type { SeriesBuild } from '../../layout/simulate.js';
import { startWork } from '../../log.js';
import { parseConfig } from '../../oci/types.js';
import type { Commit } from '../../ostree/objects/commit.js';
import { type OstreeRepo, openRepo } from '../../ostree/repo.js';
import {
  namedBeside,
  openArtifactRepository,
  registryHost,
} from '../../transports/image-reference.js';
import { Semaphore } from '../../transports/semaphore.js';
import type { TransportOptions } from '../../transports/transport.js';
import { openLargeCommitTree } from '../../tree/commit.js';
import { openDirectoryTree } from '../../tree/directory-tree.js';
import { locate } from '../diff/input.js';
import { interruptSignal } from '../run.js';
import {
  buildOfPath,
  buildOfTree,
  type ImageContext,
  isoDate,
  newestInstallation,
  publishedBuild,
} from './series.js';

/** A build that may be recorded. */
export interface FoundBuild {
  readonly build: string;
  /** What was asked for, for messages. */
  readonly source: string;
  /** What tells it apart; undefined if that shows only when it is read. */
  readonly id?: string | undefined;
  readonly date?: string | undefined;
  /** Reads its packages. */
  read(): Promise<SeriesBuild>;
}

export interface FindOptions extends ImageContext {
  /** Returns the options to reach an image. */
  readonly transportOptions: (imgref: string) => TransportOptions;
  readonly repo?: string | undefined;
  /** Patterns of tags; undefined if the arguments are images, not repositories. */
  readonly tags?: readonly string[] | undefined;
  /** Whether images in registries are read as a whole. */
  readonly files: boolean;
}

const MAX_REQUESTS = 6;
const HASH_LENGTH = 12;
/** Tags of signatures and of lists of artifacts, which are no images. */
const DIGEST_TAG = /^sha256-[0-9a-f]{64}/;
/** What a folder has that is the root of a system. */
const ROOT_FOLDERS = ['usr', 'etc', 'sysroot', 'ostree'];

/** Finds the builds of one argument. */
export async function findBuilds(
  argument: string,
  options: FindOptions,
): Promise<readonly FoundBuild[]> {
  const location = locate(argument, options.repo);
  switch (location.kind) {
    case 'image':
      return options.tags === undefined
        ? [await findImage(location.imgref, location.imgref, options)]
        : findTags(location.imgref, options.tags, options);
    case 'commit':
      return findCommits(openRepo(location.repo), location.ref, options);
    case 'rpmdb':
      return [unknownBuild(argument, () => buildOfPath(argument, basename(argument), options))];
    case 'directory':
      return isRoot(argument) ? [findTree(argument, options)] : findInFolder(argument, options);
  }
}

/** Finds an image by its manifest and its config. */
async function findImage(imgref: string, build: string, options: FindOptions): Promise<FoundBuild> {
  const image = await options.open(imgref);
  try {
    const { created = '' } = parseConfig(await image.config());
    // A file with any other text as the date of a build could not be read again.
    const date = isDate(created) ? created : undefined;
    const id = image.manifestDigest;
    const isRemote = registryHost(imgref) !== undefined;
    // A tag may have moved when the image is read.
    const exact = (isRemote ? namedBeside(imgref, id) : undefined) ?? imgref;
    const readsFiles = options.files || !isRemote;
    const read = async () => {
      const recorded = await publishedBuild(exact, options, () => readsFiles);
      return { ...recorded, build, id, date };
    };
    return { build, source: imgref, id, date, read };
  } finally {
    await image.close?.();
  }
}

/** Finds the images of a repository whose tags are wanted; what is no image is left out. */
async function findTags(
  imgref: string,
  patterns: readonly string[],
  options: FindOptions,
): Promise<readonly FoundBuild[]> {
  const expressions = patterns.map(globPattern);
  const isWanted = (tag: string) => {
    const isImage = !DIGEST_TAG.test(tag);
    return isImage && expressions.some((expression) => expression.test(tag));
  };
  const tags = await listTags(imgref, options);
  const wanted = tags.filter(isWanted);
  if (wanted.length === 0) {
    const which = patterns.join(' or ');
    const rule = `none of its ${tags.length} tags is ${which}`;
    throw new OstrataError('NOT_FOUND', `${imgref}: ${rule}`);
  }

  const parallel = new Semaphore(MAX_REQUESTS);
  const work = startWork(options.log, 'looking at tags', wanted.length, 'tags');
  const find = (tag: string) =>
    parallel.run(async () => {
      const tagged = must(namedBeside(imgref, tag), 'the name of a tag');
      const found = await findTag(tagged, tag, options);
      work.advance(1);
      return found;
    });
  const found = await Promise.all(wanted.map(find));
  work.end();
  return found.filter((each) => each !== undefined);
}

async function listTags(imgref: string, options: FindOptions): Promise<readonly string[]> {
  const transport = options.transportOptions(imgref);
  const repository = await openArtifactRepository(imgref, transport, 'pull');
  try {
    const tags = await repository.tags();
    return tags.toSorted(compareUtf8);
  } finally {
    repository.close();
  }
}

/**
 * Returns undefined, after a warning, for what is no image. An image that cannot be read does not
 * hide those of other tags: it is a build that fails when it is read.
 */
async function findTag(
  imgref: string,
  tag: string,
  options: FindOptions,
): Promise<FoundBuild | undefined> {
  try {
    return await findImage(imgref, tag, options);
  } catch (error) {
    if (error instanceof OstrataError && error.code === 'UNSUPPORTED') {
      options.log.warn(`${error.message}; the tag is left out`);
      return undefined;
    }
    return { build: tag, source: imgref, read: () => Promise.reject(error) };
  }
}

/** Finds a commit and its parents, as far as the repository has them. */
function findCommits(repo: OstreeRepo, ref: string, options: FindOptions): readonly FoundBuild[] {
  const found: FoundBuild[] = [];
  let id = repo.resolve(ref);
  let commit: Commit | undefined = repo.loadCommit(id).parsed;
  while (commit !== undefined) {
    const build = commitBuild(repo, id, commit, options);
    found.push(build);
    id = commit.parent ?? '';
    commit = id === '' ? undefined : parentCommit(repo, id);
  }
  return found;
}

function parentCommit(repo: OstreeRepo, checksum: string): Commit | undefined {
  try {
    return repo.loadCommit(checksum).parsed;
  } catch (error) {
    if (isNotFound(error)) {
      return undefined;
    }
    throw error;
  }
}

function commitBuild(
  repo: OstreeRepo,
  id: string,
  { timestamp }: Commit,
  options: FindOptions,
): FoundBuild {
  const build = id.slice(0, HASH_LENGTH);
  const date = isoDate(timestamp);
  const read = async () => {
    const tree = await openLargeCommitTree(repo, id, options.log);
    const recorded = await buildOfTree(tree, build, options);
    return { ...recorded, id, date };
  };
  return { build, source: `${repo.path}:${build}`, id, date, read };
}

function isRoot(path: string): boolean {
  return ROOT_FOLDERS.some((name) => existsSync(join(path, name)));
}

function findTree(path: string, options: FindOptions): FoundBuild {
  return unknownBuild(path, async () => {
    const tree = await openDirectoryTree(path, {
      log: options.log,
      signal: interruptSignal,
      jobs: availableParallelism(),
      skipSpecialFiles: true,
      oneFileSystem: true,
    });
    const build = await buildOfTree(tree, basename(path), options);
    const hasDatabase = findRpmdb(tree.files) !== undefined;
    const date = hasDatabase ? newestInstallation(await openTreeRpmdb(tree)) : undefined;
    return { ...build, date };
  });
}

/** Finds the databases and lists of components in a folder, in the order of their names. */
async function findInFolder(path: string, options: FindOptions): Promise<readonly FoundBuild[]> {
  const names = await inContextAsync(`reading ${path}`, () => readdir(path));
  const visible = names.filter((name) => !name.startsWith('.'));
  return visible.sort(compareUtf8).map((name) => {
    const file = join(path, name);
    const read = () => buildOfPath(file, name, options);
    return isRoot(file) ? findTree(file, options) : unknownBuild(file, read);
  });
}

/** A build that is known by its components alone. */
function unknownBuild(source: string, read: () => Promise<SeriesBuild>): FoundBuild {
  const readAndName = async () => {
    const { build, ...rest } = await read();
    const text = formatBuild({ build: '', components: rest.components });
    const hash = createHash('sha256').update(text).digest('hex');
    return { build, id: `sha256:${hash}`, ...rest };
  };
  return { build: basename(source), source, read: readAndName };
}
