/** What the layout commands read builds from: component lists, RPM databases, images and trees. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type DamageOptions, packageComponents } from '../../../plugins/rpm/index.js';
import {
  findRpmdb,
  openRpmdbAt,
  openTreeRpmdb,
  type Rpmdb,
} from '../../../plugins/rpm/rpmdb/index.js';
import { compareUtf8 } from '../../bytes/text.js';
import { assignComponents } from '../../components/assign.js';
import { componentsOfFacts } from '../../components/facts.js';
import { loadClaims } from '../../components/load.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import { describeImage, holdsFiles, type ReadLayer } from '../../image/encapsulated.js';
import type { PublishedLayer } from '../../layout/published.js';
import { readBuild, readSeries } from '../../layout/series.js';
import type { SeriesBuild } from '../../layout/simulate.js';
import { type Logger, startWork } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import type { ContentSource, Tree } from '../../plugin.js';
import { isImgref } from '../../transports/image-reference.js';
import { openImageTree } from '../../tree/image.js';
import type { OpenImage } from '../options/registry.js';
import { openDatabaseLayers, rpmdbKind } from '../rpmdb/database-layers.js';
import { interruptSignal } from '../run.js';

/** Builds from the oldest to the newest. */
export interface Series {
  readonly name: string;
  readonly builds: readonly SeriesBuild[];
}

interface SeriesContext {
  readonly sources: readonly ContentSource[];
  readonly log: Logger;
}

interface DatabaseContext extends DamageOptions {
  readonly log: Logger;
}

export interface ImageContext extends SeriesContext, DatabaseContext {
  readonly open: OpenImage;
}

/** Help for arguments that {@link openSeries} reads. */
export const SERIES_HELP =
  'builds from the oldest to the newest: a JSONL file with one build per line, plain or gzipped, ' +
  'a folder of RPM databases or component JSON files in the order of their names, or image ' +
  'references';

const SERIES_OF_IMAGES = 'images';

/**
 * Opens series. Each file and folder is a series; all image references together are one. No two
 * have the same name, because results are compared by it.
 */
export async function openSeries(
  args: readonly string[],
  context: ImageContext,
): Promise<readonly Series[]> {
  const series: Series[] = [];
  const images = args.filter(isImgref);
  const paths = new Set(args.filter((arg) => !isImgref(arg)));
  const names = Array.from(paths, shortName);
  if (images.length > 0) {
    names.push(SERIES_OF_IMAGES);
  }
  for (const path of paths) {
    const name = shortName(path);
    const isUnique = names.indexOf(name) === names.lastIndexOf(name);
    const builds = await buildsOfSeries(path, context);
    series.push({ name: isUnique ? name : path, builds });
  }
  if (images.length > 0) {
    const builds = await buildsOfImages(images, context);
    series.push({ name: SERIES_OF_IMAGES, builds });
  }
  return series;
}

function shortName(path: string): string {
  return basename(path).replace(/\.jsonl?(\.gz)?$/, '');
}

async function buildsOfSeries(
  path: string,
  context: DatabaseContext,
): Promise<readonly SeriesBuild[]> {
  const stats = await inContextAsync(`series ${path}`, () => stat(path));
  return stats.isDirectory() ? buildsOfFolder(path, context) : readSeries(path);
}

async function buildsOfFolder(
  path: string,
  context: DatabaseContext,
): Promise<readonly SeriesBuild[]> {
  const all = await readdir(path);
  const visible = all.filter((name) => !name.startsWith('.'));
  const names = visible.sort(compareUtf8);
  const builds: SeriesBuild[] = [];
  for (const name of names) {
    builds.push(await buildOfPath(join(path, name), name, context));
  }
  if (builds.length === 0) {
    throw new OstrataError('NOT_FOUND', `series ${path}: the folder is empty`);
  }
  return builds;
}

async function buildsOfImages(
  imgrefs: readonly string[],
  context: ImageContext,
): Promise<readonly SeriesBuild[]> {
  const builds: SeriesBuild[] = [];
  const work = startWork(context.log, 'reading images', imgrefs.length, 'images');
  for (const imgref of imgrefs) {
    const build = await publishedBuild(imgref, context, hasFiles);
    builds.push(build);
    work.advance(1);
  }
  work.end();
  return builds;
}

function hasFiles(layers: readonly ReadLayer[]): boolean {
  return layers.some(holdsFiles);
}

/**
 * Reads a build and the layers that its image really has.
 * @param isReadWhole whether more is read than the RPM database, if there is one
 */
export async function publishedBuild(
  imgref: string,
  context: ImageContext,
  isReadWhole: (layers: readonly ReadLayer[]) => boolean,
): Promise<SeriesBuild> {
  const image = await context.open(imgref);
  try {
    const { layers } = await describeImage(image, context.log);
    const published = layers.map(
      ({ diffId, descriptor }): PublishedLayer => ({ diffId, storedBytes: descriptor.size }),
    );
    const build = isReadWhole(layers)
      ? await buildOfImageReader(image, context)
      : await buildOfDatabase(image, layers, context);
    return { ...build, published };
  } finally {
    await image.close?.();
  }
}

/**
 * Reads the RPM database of an image, and of its layers only those that are needed to find it. An
 * image without one is read as a whole.
 */
async function buildOfDatabase(
  image: ImageReader,
  layers: readonly ReadLayer[],
  context: ImageContext,
): Promise<SeriesBuild> {
  const { log, skipDamagedPackages } = context;
  const options = { log, signal: interruptSignal };
  const tree = await openDatabaseLayers(image, layers, [rpmdbKind()], options);
  try {
    if (findRpmdb(tree.files) === undefined) {
      return await buildOfTree(tree, image.name, context);
    }
    const database = await openTreeRpmdb(tree);
    const facts = packageComponents(database, log, { skipDamagedPackages });
    return { build: image.name, components: componentsOfFacts(facts) };
  } finally {
    tree.close?.();
  }
}

/** Reads a component JSON file or an RPM database: its file, its folder or the root of a system. */
export async function buildOfPath(
  path: string,
  name: string,
  { log, skipDamagedPackages }: DatabaseContext,
): Promise<SeriesBuild> {
  if (/\.json(\.gz)?$/.test(name)) {
    return readBuild(path, name.replace(/\.json(\.gz)?$/, ''));
  }
  const database = await openRpmdbAt(path);
  const facts = packageComponents(database, log, { skipDamagedPackages });
  const date = newestInstallation(database);
  return { build: name, date, components: componentsOfFacts(facts) };
}

/** Returns when the newest package of a database was installed; undefined if it does not say. */
export function newestInstallation(database: Rpmdb): string | undefined {
  let newest = 0;
  for (const { installTime = 0 } of database.packages({ onError: () => {} })) {
    newest = Math.max(newest, installTime);
  }
  return newest === 0 ? undefined : isoDate(newest);
}

/** Returns seconds since 1970 as an ISO 8601 date. */
export function isoDate(seconds: number): string {
  const text = new Date(seconds * 1000).toISOString();
  return text.replace('.000Z', 'Z');
}

export async function buildOfImage(imgref: string, context: ImageContext): Promise<SeriesBuild> {
  const image = await context.open(imgref);
  try {
    return await buildOfImageReader(image, context);
  } finally {
    await image.close?.();
  }
}

/** Reads all layers of an image, and assigns its files to components. */
export async function buildOfImageReader(
  image: ImageReader,
  context: SeriesContext,
): Promise<SeriesBuild> {
  return buildOfTree(await openImageTree(image, context.log), image.name, context);
}

export async function buildOfTree(
  tree: Tree,
  name: string,
  { sources, log }: SeriesContext,
): Promise<SeriesBuild> {
  const claims = await loadClaims(tree, sources, { log, signal: interruptSignal });
  return { build: name, components: await assignComponents(tree, claims) };
}
