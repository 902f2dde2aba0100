/** What `ostrata layout` reads builds from. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { packageComponents } from '../../../plugins/rpm/index.js';
import { openRpmdbAt } from '../../../plugins/rpm/rpmdb/index.js';
import { compareUtf8 } from '../../bytes/text.js';
import { assignComponents } from '../../components/assign.js';
import { componentsOfFacts } from '../../components/facts.js';
import { loadClaims } from '../../components/load.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import { readBuild, readSeries } from '../../layout/series.js';
import type { SeriesBuild } from '../../layout/simulate.js';
import type { Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import type { ContentSource, Tree } from '../../plugin.js';
import { isImgref } from '../../transports/image-reference.js';
import { openImageTree } from '../../tree/image.js';
import type { OpenImage } from '../options/registry.js';
import { interruptSignal } from '../run.js';

/** Builds in age order. */
export interface Series {
  readonly name: string;
  readonly builds: readonly SeriesBuild[];
}

export interface SeriesContext {
  readonly sources: readonly ContentSource[];
  readonly log: Logger;
}
export interface ImageContext extends SeriesContext {
  readonly open: OpenImage;
}

const SERIES_FORMS =
  'a JSONL file of builds (also gzipped), a folder of rpmdbs or of component JSON files in the order of their names, ' +
  'or image references in age order';

/** Help text for arguments that {@link openSeries} reads. */
export const seriesHelp = SERIES_FORMS;

/** Every file and folder is a series; image references together are one. */
export async function openSeries(
  args: readonly string[],
  context: ImageContext,
): Promise<readonly Series[]> {
  const images = args.filter(isImgref);
  const series: Series[] = [];
  for (const path of args.filter((arg) => !isImgref(arg))) {
    const name = basename(path).replace(/\.jsonl?(\.gz)?$/, '');
    const isFolder = (await inContextAsync(`series ${path}`, () => stat(path))).isDirectory();
    series.push({ name, builds: isFolder ? await readFolder(path) : await readSeries(path) });
  }
  if (images.length > 0) {
    const builds: SeriesBuild[] = [];
    for (const image of images) {
      builds.push(await buildOfImage(image, context));
    }
    series.push({ name: 'images', builds });
  }
  return series;
}

async function readFolder(path: string): Promise<readonly SeriesBuild[]> {
  const names = (await readdir(path)).filter((name) => !name.startsWith('.')).sort(compareUtf8);
  const builds: SeriesBuild[] = [];
  for (const name of names) {
    builds.push(await buildOfPath(join(path, name), name));
  }
  if (builds.length === 0) {
    throw new OstrataError('NOT_FOUND', `series ${path}: the folder is empty`);
  }
  return builds;
}

/** A component JSON file, or what holds an rpmdb. */
export async function buildOfPath(path: string, name: string): Promise<SeriesBuild> {
  if (/\.json(\.gz)?$/.test(name)) {
    return readBuild(path, name.replace(/\.json(\.gz)?$/, ''));
  }
  const database = await openRpmdbAt(path);
  return { build: name, components: componentsOfFacts(packageComponents(database.packages())) };
}

export async function buildOfImage(imgref: string, context: ImageContext): Promise<SeriesBuild> {
  const image = await context.open(imgref);
  try {
    return await buildOfImageReader(image, context);
  } finally {
    await image.close?.();
  }
}

/** Reads all layers. */
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
