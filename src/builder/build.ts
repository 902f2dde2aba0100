/**
 * A plain image of any tree: files at their paths, in layers that change together. It is what any
 * container tool builds, except for the choice of the layers.
 */
import { plainLayerKey, plainLayerSpec } from '../layers/plain-spec.js';
import type { Context } from '../log.js';
import type { Claims } from '../plugin.js';
import type { ImageWriter } from '../transports/transport.js';
import type { LocatedTree } from '../tree/content-location.js';
import type { DigestOptions } from '../tree/file-digests.js';
import { FileMap } from '../tree/file-map.js';
import type { FileEntry, TreePath } from '../tree/tree.js';
import { BaseComparison } from './above-base.js';
import {
  type ImageFormat,
  type ImagePlan,
  type LayoutPlanOptions,
  planLayers,
} from './image-plan.js';
import { acceptsTimeOfBase, directoryMtimes, type MtimeOptions, withMtimes } from './mtimes.js';
import {
  DIRECTORIES_COMPONENT,
  directoriesComponent,
  emptyDirectories,
  WHITEOUTS_COMPONENT,
  whiteoutsComponent,
} from './own-components.js';
import { describePlainImage, layerDescriber, type PlainImageOptions } from './plain-config.js';
import type { BlobOptions } from './write-blobs.js';
import { type WrittenImage, writePlannedImage } from './write-image.js';

export interface PlanPlainImageOptions extends LayoutPlanOptions {
  readonly tree: LocatedTree;
  readonly mtimes: MtimeOptions;
  /** Largest number of threads that read content on which times depend; 1 by default. */
  readonly jobs?: number | undefined;
}

/** Decides which layer holds what. */
export function planPlainImage(options: PlanPlainImageOptions): Promise<ImagePlan> {
  const { tree, mtimes, jobs = 1, log, signal } = options;
  const timeOptions = { ...mtimes, jobs, log, signal };
  return planLayers(
    tree,
    async (claims) => plainFormat(tree, await writtenParts(tree, claims, timeOptions), mtimes),
    options,
  );
}

/** What the layers of an image hold, apart from those of a base image. */
interface WrittenParts {
  readonly entries: readonly FileEntry[];
  /** Paths of the base that whiteouts remove. */
  readonly removed: readonly TreePath[];
}

async function writtenParts(
  tree: LocatedTree,
  claims: readonly Claims[],
  mtimes: MtimeOptions & DigestOptions,
): Promise<WrittenParts> {
  const { base, files } = tree;
  if (base === undefined) {
    return { entries: await withMtimes(files, tree, claims, mtimes), removed: [] };
  }
  const comparison = new BaseComparison(base);
  // To find the time of a file can take its content, which is not needed if nobody touched it.
  const touched = comparison.differing(files, (entry, below) => entry.mtime === below.mtime);
  const timed = await withMtimes(touched, tree, claims, mtimes);
  const entries = comparison.differing(timed, (entry, below) =>
    acceptsTimeOfBase(mtimes, entry, below),
  );
  return { entries, removed: comparison.removed(files) };
}

function plainFormat(
  tree: LocatedTree,
  { entries, removed }: WrittenParts,
  mtimes: MtimeOptions,
): ImageFormat {
  const empty = emptyDirectories(entries, removed);
  return {
    tree: { ...tree, files: new FileMap(entries) },
    objectOf: ({ inode, path }) => inode ?? path,
    ownComponents: () => [...directoriesComponent(empty), ...whiteoutsComponent(removed)],
    layerOf: (components) => {
      const ids = new Set(components.map(({ id }) => id));
      const spec = plainLayerSpec(tree.files, components, {
        emptyDirectories: ids.has(DIRECTORIES_COMPONENT) ? empty.map(({ path }) => path) : [],
        whiteouts: ids.has(WHITEOUTS_COMPONENT) ? removed : [],
        directoryMtime: directoryMtimes(components, mtimes),
      });
      return { spec, key: plainLayerKey(spec) };
    },
  };
}

/** How the layers of a plan are written, and what else the image says. */
export interface WritePlainImageOptions extends BlobOptions, PlainImageOptions, Context {}

/**
 * Writes the planned layers, reusing those that did not change, and commits the image to `writer`.
 * On failure nothing is left at the destination.
 */
export async function writePlainImage(
  plan: ImagePlan,
  writer: ImageWriter,
  options: WritePlainImageOptions,
): Promise<WrittenImage> {
  return writePlannedImage(plan, writer, options, () => ({
    description: describePlainImage(plan.components, options),
    describeLayer: layerDescriber(options.createdBy ?? 'ostrata'),
  }));
}
