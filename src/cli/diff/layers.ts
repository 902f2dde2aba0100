/** What `ostrata diff` says about the layers of two images, as plain data. */
import { type ComparedLayer, compareImages } from '../../image/compare.js';
import type { FileChange } from '../../image/file-changes.js';
import { diffLayers, type LayerDiff } from '../../image/layer-files.js';
import type { FileOwners } from '../../image/owned-files.js';
import type { ComponentChange } from '../../layout/changes.js';
import { sizeOf } from '../container/image-info.js';
import { bySize, reasonOf } from '../container/reasons.js';
import type { FoundDelta } from '../delta/find.js';
import type { Input } from './input.js';
import { layerCauses } from './words.js';

export interface UpdateReport {
  readonly layers: number;
  /** Compressed bytes. */
  readonly size: number;
  readonly removedLayers: number;
  /** What clients can download instead of the layers; undefined if there is no delta. */
  readonly delta?: FoundDelta | undefined;
}

export interface LayerReport {
  /** Position in the new image. */
  readonly index: number;
  readonly digest: string;
  readonly diffId: string;
  /** Compressed bytes. */
  readonly size: number;
  /** In words, the most important cause first. */
  readonly because: readonly string[];
  /** Components that are the reason, as far as the images record them. */
  readonly changes: readonly ComponentChange[];
  /** Files in the layer, and how many of them changed; undefined unless files are compared. */
  readonly files?: number | undefined;
  readonly changedFiles?: number | undefined;
  /** Bytes of new content in the layer, not compressed. */
  readonly newSize?: number | undefined;
  /** Files that did not change, but come from other layers. */
  readonly movedFiles?: number | undefined;
}

/** How the files of two images differ. */
export interface ComparedFiles {
  readonly changes: readonly FileChange[];
  readonly old: FileOwners;
  readonly new: FileOwners;
}

/** The layers of two images, compared. */
export interface LayersDiff {
  /** The layers that clients of the old image download. */
  readonly added: readonly ComparedLayer[];
  readonly removedLayers: number;
  /** By position in the new image; undefined unless files are compared. */
  readonly files: ReadonlyMap<number, LayerDiff> | undefined;
}

/** Returns undefined unless both inputs are images. */
export function compareLayers(
  { image: old, tree: oldTree }: Input,
  { image: next, tree: newTree }: Input,
  files: ComparedFiles | undefined,
): LayersDiff | undefined {
  if (old === undefined || next === undefined) {
    return undefined;
  }
  const { added, removed } = compareImages(old, next);
  const removedLayers = removed.length;
  if (files === undefined || !oldTree?.layers || !newTree?.layers) {
    return {
      added,
      removedLayers,
      files: undefined,
    };
  }
  const before = {
    tree: oldTree,
    layers: oldTree.layers,
    owners: files.old,
  };
  const after = {
    tree: newTree,
    layers: newTree.layers,
    owners: files.new,
  };
  const indexes = added.map(({ index }) => index);
  return {
    added,
    removedLayers,
    files: diffLayers(before, after, files.changes, indexes),
  };
}

export function updateReport(
  { added, removedLayers }: LayersDiff,
  delta: FoundDelta | undefined,
): UpdateReport {
  return {
    layers: added.length,
    size: sizeOf(added),
    removedLayers,
    delta,
  };
}

/** Returns the layers that clients download, the largest first. */
export function layerReports({ added, files }: LayersDiff): readonly LayerReport[] {
  return bySize(added).map((layer) => {
    const { index, descriptor, diffId } = layer;
    const diff = layer.kind === 'commit' ? undefined : files?.get(index);
    const reason = [reasonOf(layer)].flat().filter(Boolean);
    return {
      index,
      digest: descriptor.digest,
      diffId,
      size: descriptor.size,
      because: diff === undefined ? reason : layerCauses(diff),
      changes: layer.changes,
      ...countsOf(diff),
    };
  });
}

function countsOf(diff: LayerDiff | undefined): Partial<LayerReport> {
  if (diff === undefined) {
    return {};
  }
  const { components, files, moved } = diff;
  return {
    files,
    changedFiles: components.reduce((sum, { changes }) => sum + changes.length, 0),
    newSize: components.reduce((sum, { newSize }) => sum + newSize, 0),
    movedFiles: moved,
  };
}

/** Returns the position of the new layer that each changed file is counted in, by path. */
export function layersByFile({ files = new Map() }: LayersDiff): ReadonlyMap<string, number> {
  const byPath = new Map<string, number>();
  for (const [index, { components }] of files) {
    for (const { path } of components.flatMap(({ changes }) => changes)) {
      byPath.set(path, index);
    }
  }
  return byPath;
}
