/** Why clients download a layer, down to the files in it. */

import type { LayerPaths } from '../tree/flatten.js';
import { deployedPath } from '../tree/path.js';
import type { Tree } from '../tree/tree.js';
import type { FileChange } from './file-changes.js';
import { type ComponentDiff, changesByComponent, type FileOwners } from './owned-files.js';

/** An image of which all layers were read. */
export interface LayeredImage {
  readonly tree: Tree;
  readonly layers: readonly LayerPaths[];
  readonly owners: FileOwners;
}

/** What a layer holds, and what of it differs from the old image. */
export interface LayerDiff {
  /** Files and symlinks in the layer. */
  readonly files: number;
  /** Files that differ; those that were removed, too. */
  readonly components: readonly ComponentDiff[];
  /** The directories that the layer has entries for, if they differ. */
  readonly directories: readonly FileChange[];
  /** Files that are the same as before, but were in another layer than most of this layer. */
  readonly moved: number;
  /** Their bytes of content. */
  readonly movedSize: number;
  /** Files that are the same as before, but left the layer that most of this one comes from. */
  readonly movedAway: number;
  /** Their bytes of content. */
  readonly movedAwaySize: number;
}

/**
 * Compares the layers `indexes` of the new image with the tree of the old image.
 * @param changes how the trees differ
 */
export function diffLayers(
  old: LayeredImage,
  next: LayeredImage,
  changes: readonly FileChange[],
  indexes: readonly number[],
): ReadonlyMap<number, LayerDiff> {
  const changed = new Map(changes.map((change) => [change.path, change]));
  const oldLayers = layersByPath(old.layers);
  const newLayers = layersByPath(next.layers);
  const sizes = sizesByPath(next.tree);
  const origins = new Map<number, number | undefined>();
  for (const index of indexes) {
    const paths = filesOf(next, index);
    origins.set(index, mostFrequent(paths.map((path) => oldLayers.get(path))));
  }
  const removed = removedByLayer(changes, { old, next, oldLayers, newLayers, origins });

  const diffs = new Map<number, LayerDiff>();
  for (const [index, from] of origins) {
    const paths = filesOf(next, index);
    const directories = (next.layers[index]?.directories ?? []).map(deployedPath);
    const changesIn = (list: readonly string[]) => list.flatMap((path) => changed.get(path) ?? []);
    const sizeOf = (list: readonly string[]) =>
      list.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);

    const moved = paths.filter((path) => !changed.has(path) && oldLayers.get(path) !== from);
    const movedAway = filesOf(old, from).filter((path) => {
      const layer = newLayers.get(path);
      return layer !== undefined && layer !== index;
    });
    const fileChanges = [...changesIn(paths), ...(removed.get(index) ?? [])];
    diffs.set(index, {
      files: paths.length,
      components: changesByComponent(fileChanges, old.owners, next.owners),
      directories: changesIn(directories),
      moved: moved.length,
      movedSize: sizeOf(moved),
      movedAway: movedAway.length,
      movedAwaySize: sizeOf(movedAway),
    });
  }
  return diffs;
}

/** Returns the files of a layer; none if there is no such layer. */
function filesOf({ layers }: LayeredImage, index: number | undefined): readonly string[] {
  const layer = index === undefined ? undefined : layers[index];
  return (layer?.files ?? []).map(deployedPath);
}

function layersByPath(layers: readonly LayerPaths[]): ReadonlyMap<string, number> {
  const byPath = new Map<string, number>();
  for (const [index, { files }] of layers.entries()) {
    for (const path of files) {
      byPath.set(deployedPath(path), index);
    }
  }
  return byPath;
}

interface Layers {
  readonly old: LayeredImage;
  readonly next: LayeredImage;
  /** The layers of the old image by path. */
  readonly oldLayers: ReadonlyMap<string, number>;
  /** The layers of the new image by path. */
  readonly newLayers: ReadonlyMap<string, number>;
  /** For each new layer, the old one that most of its files come from. */
  readonly origins: ReadonlyMap<number, number | undefined>;
}

/**
 * Returns the removed files by the new layer in which they are missing: the one that took the place
 * of their layer or, if none did, that holds their component.
 */
function removedByLayer(
  changes: readonly FileChange[],
  { old, next, oldLayers, newLayers, origins }: Layers,
): ReadonlyMap<number, readonly FileChange[]> {
  const successors = successorsOf(origins);
  const homes = new Map<string, number>();
  for (const [path, layer] of newLayers) {
    const id = next.owners.byPath.get(path);
    if (id !== undefined && origins.has(layer)) {
      homes.set(id, layer);
    }
  }

  const removed = new Map<number, FileChange[]>();
  for (const change of changes) {
    const oldLayer = oldLayers.get(change.path);
    if (change.change !== 'removed' || oldLayer === undefined) {
      continue;
    }
    const id = old.owners.byPath.get(change.path) ?? '';
    const layer = successors.get(oldLayer) ?? homes.get(id);
    if (layer !== undefined) {
      const list = removed.get(layer) ?? [];
      removed.set(layer, list);
      list.push(change);
    }
  }
  return removed;
}

/** Returns the new layer that took the place of each old one. */
function successorsOf(origins: Layers['origins']): ReadonlyMap<number, number> {
  const successors = new Map<number, number>();
  for (const [index, from] of origins) {
    if (from !== undefined && !successors.has(from)) {
      successors.set(from, index);
    }
  }
  return successors;
}

function sizesByPath({ files }: Tree): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const entry of files) {
    sizes.set(deployedPath(entry.path), entry.type === 'file' ? entry.size : 0);
  }
  return sizes;
}

function mostFrequent(layers: readonly (number | undefined)[]): number | undefined {
  const counts = new Map<number, number>();
  let most: number | undefined;
  for (const layer of layers) {
    if (layer === undefined) {
      continue;
    }
    const count = (counts.get(layer) ?? 0) + 1;
    counts.set(layer, count);
    if (most === undefined || count > (counts.get(most) ?? 0)) {
      most = layer;
    }
  }
  return most;
}
