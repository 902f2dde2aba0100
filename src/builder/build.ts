/**
 * A plain image of any tree: files at their paths, in layers that change together. It is what any
 * container tool builds, except for the choice of the layers.
 */
import { plainLayerKey, plainLayerSpec } from '../layers/plain-spec.js';
import type { Context } from '../log.js';
import type { ImageWriter } from '../transports/transport.js';
import type { LocatedTree } from '../tree/content-location.js';
import { emptyDirectories, emptyDirectoriesComponent } from './empty-directories.js';
import {
  type ImageFormat,
  type ImagePlan,
  type LayoutPlanOptions,
  planLayers,
} from './image-plan.js';
import { directoryMtimes, type MtimeOptions, withMtimes } from './mtimes.js';
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
    async (claims) => plainFormat(await withMtimes(tree, claims, timeOptions), mtimes),
    options,
  );
}

function plainFormat(tree: LocatedTree, mtimes: MtimeOptions): ImageFormat {
  const empty = emptyDirectories(tree.files);
  const component = emptyDirectoriesComponent(empty);
  return {
    tree,
    objectOf: ({ inode, path }) => inode ?? path,
    ownComponents: () => (component === undefined ? [] : [component]),
    layerOf: (components) => {
      const hasEmpty = components.some(({ id }) => id === component?.id);
      const spec = plainLayerSpec(tree.files, components, {
        emptyDirectories: hasEmpty ? empty.map(({ path }) => path) : [],
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
    description: describePlainImage(plan, options),
    describeLayer: layerDescriber(options.createdBy ?? 'ostrata'),
  }));
}
