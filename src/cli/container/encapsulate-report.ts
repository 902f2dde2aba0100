/** What `container-encapsulate` prints: the layers, and what an update downloads. */

import type { PlannedBlob } from '../../builder/blob-collector.js';
import type { ImagePlan, PlannedChunk } from '../../builder/image-plan.js';
import type { PreviousBuild } from '../../builder/previous.js';
import { layersOfBase, type WrittenImage } from '../../builder/write-image.js';
import { type ComponentChange, componentChanges, hasLayerOf } from '../../layout/changes.js';
import type { LayoutRecord } from '../../layout/previous-layout.js';
import { stdoutColors } from '../output/colors.js';
import {
  type Cell,
  type Column,
  counted,
  formatBytes,
  formatCount,
  formatPercent,
  formatRate,
  formatTable,
  left,
  right,
  shortDigest,
} from '../output/format.js';
import { printable } from '../output/print.js';
import { reasonWithoutChange } from './reasons.js';

/** A layer as it is reported, written or only planned. */
interface ReportedLayer {
  /** Whether it is a layer of the base image. */
  readonly isOfBase: boolean;
  /** Undefined for the commit layer and for those of the base image. */
  readonly chunk: PlannedChunk | undefined;
  /** Bytes of regular files; 0 for the commit layer. */
  readonly contentSize: number;
  readonly reused: boolean;
  /** Undefined while the layer is not written. */
  readonly blob: ReportedBlob | undefined;
  /** See `WrittenBlob`; undefined while the layer is not written. */
  readonly origin: string | undefined;
}

interface ReportedBlob {
  readonly digest: string;
  readonly diffId: string;
  readonly size: number;
}

export function writtenLayers({ layers }: Pick<WrittenImage, 'layers'>): readonly ReportedLayer[] {
  return layers.map(({ isOfBase, chunk, contentSize, descriptor, diffId, reused, origin }) => ({
    isOfBase,
    chunk,
    contentSize,
    reused,
    origin,
    blob: { digest: descriptor.digest, diffId, size: descriptor.size },
  }));
}

/** Returns the layers of a dry run. Those that are reused already have their blob. */
export function plannedLayers(plan: ImagePlan): readonly ReportedLayer[] {
  const { commitLayer, chunks } = plan;
  const ofBase = writtenLayers({ layers: layersOfBase(plan) });
  const ofCommit = commitLayer === undefined ? [] : [plannedLayer(commitLayer, undefined)];
  const ofChunks = chunks.map((chunk) => plannedLayer(chunk, chunk));
  return [...ofBase, ...ofCommit, ...ofChunks];
}

function plannedLayer({ unchanged }: PlannedBlob, chunk: PlannedChunk | undefined): ReportedLayer {
  const reused = unchanged !== undefined;
  const blob = unchanged && {
    digest: unchanged.descriptor.digest,
    diffId: unchanged.diffId,
    size: unchanged.descriptor.size,
  };
  const origin = reused ? 'previous-build' : undefined;
  return { isOfBase: false, chunk, contentSize: chunk?.contentSize ?? 0, reused, blob, origin };
}

/** What a report says about a command. */
export interface ReportedCommand {
  /** Where the image or the index is written, or would be. */
  readonly imgref: string;
  readonly warnings: readonly string[];
}

/** What a report says about a build besides its layers. */
interface ReportedBuild extends ReportedCommand {
  /** The build whose layers are kept; undefined without one. */
  readonly previousName: string | undefined;
}

/**
 * Returns what `--json` prints. In a dry run the image has no digests and no size, and only reused
 * layers have theirs.
 */
export function jsonReport(
  plan: ImagePlan,
  layers: readonly ReportedLayer[],
  image: WrittenImage | undefined,
  { imgref, previousName, warnings }: ReportedBuild,
): object {
  const fetched = layersToDownload(layers, plan.previous);
  const update = { previousBuild: previousName, layers: fetched.length, ...totalsOf(fetched) };
  return {
    reference: imgref,
    manifestDigest: image?.manifestDigest,
    configDigest: image?.configDigest,
    commit: commitOf(plan),
    ...totalsOf(layers),
    update: previousName === undefined ? undefined : update,
    warnings,
    layers: layers.map((layer) => ({
      digest: layer.blob?.digest,
      diffId: layer.blob?.diffId,
      size: layer.blob?.size,
      contentSize: layer.contentSize,
      components: componentIds(layer),
      reused: layer.reused,
      base: layer.isOfBase,
      origin: layer.origin,
    })),
  };
}

/** The size is undefined unless all layers are written. */
function totalsOf(layers: readonly ReportedLayer[]): { size?: number; contentSize: number } {
  const contentSize = sumOf(layers, contentSizeOf);
  return isWritten(layers) ? { size: sumOf(layers, blobSizeOf), contentSize } : { contentSize };
}

/** A layer that is only planned has no size yet: then all layers are measured by their content. */
function isWritten(layers: readonly ReportedLayer[]): boolean {
  return layers.every(({ blob }) => blob !== undefined);
}

function blobSizeOf({ blob }: ReportedLayer): number {
  return blob?.size ?? 0;
}

const TABLE_COLUMNS: readonly Column[] = [
  right('LAYER'),
  left('DIGEST'),
  right('SIZE'),
  right('CONTENT'),
  right('CHANGES'),
  left('BLOB'),
  left('COMPONENTS'),
];

/** Returns the table of layers; `image` is undefined in a dry run. */
export function tableReport(
  plan: ImagePlan,
  layers: readonly ReportedLayer[],
  image: (WrittenImage & { readonly imgref: string }) | undefined,
): string {
  const table = formatTable(TABLE_COLUMNS, layers.map(tableRow));
  const layerCount = counted(layers.length, 'layer');
  const componentCount = counted(plan.components.length, 'component');
  const summary = `${layerCount} for ${componentCount}`;
  const contentSize = formatBytes(sumOf(layers, contentSizeOf));
  const size = formatBytes(sumOf(layers, blobSizeOf));
  const end =
    image === undefined
      ? `dry run, nothing is written: ${summary}, ${contentSize} of content`
      : `${stdoutColors.bold(image.imgref)}: ${summary}, ${size} for ${contentSize} of content\n` +
        `manifest ${image.manifestDigest}`;
  return `${printable(plan.tree.name)}\n\n${table}\n\n${end}`;
}

const ORIGINS = new Map([
  ['base', 'of the base'],
  ['previous-build', 'of the previous build'],
  ['cache', 'from the cache'],
  ['new', 'new'],
]);

/** Returns how many layers come from where. */
export function originReport(layers: readonly ReportedLayer[]): string {
  const counts = new Map<string, number>();
  for (const { origin } of layers) {
    if (origin !== undefined) {
      counts.set(origin, (counts.get(origin) ?? 0) + 1);
    }
  }
  const parts = [...counts].map(
    ([origin, count]) => `${count} ${ORIGINS.get(origin) ?? `from ${printable(origin)}`}`,
  );
  return `layers: ${parts.join(', ')}`;
}

/** Returns the checksum of the commit in the image; undefined for a plain image. */
function commitOf({ commitLayer }: ImagePlan): string | undefined {
  return commitLayer?.commit.checksum;
}

function tableRow(layer: ReportedLayer, index: number): readonly Cell[] {
  const { chunk, blob, reused } = layer;
  const state = reused ? 'kept' : 'new';
  return [
    String(index),
    blob === undefined ? '-' : shortDigest(blob.digest),
    blob === undefined ? '-' : formatBytes(blob.size),
    formatBytes(layer.contentSize),
    layer.isOfBase ? '-' : formatRate(chunk?.changesPerYear ?? Infinity),
    layer.isOfBase ? 'base' : state,
    chunk === undefined ? contentWithoutComponents(layer) : componentIds(layer),
  ];
}

function contentWithoutComponents({ isOfBase }: ReportedLayer): string {
  return isOfBase ? '' : 'ostree commit and its metadata';
}

/** Returns what clients of the previous build download, and why. */
export function updateReport(
  plan: ImagePlan,
  layers: readonly ReportedLayer[],
  previousName: string,
): string {
  const fetched = layersToDownload(layers, plan.previous);
  const previous = plan.previous?.recordFor(plan.components);
  return downloadReport(previousName, layers, fetched, { changes: plan.changes ?? [], previous });
}

/** Returns what clients of an image download whose layout the plan does not follow, and why. */
export function comparisonReport(
  plan: ImagePlan,
  layers: readonly ReportedLayer[],
  other: PreviousBuild,
): string {
  const fetched = layersToDownload(layers, other);
  const previous = other.recordFor(plan.components);
  const changes = componentChanges(previous, plan.components);
  const imageName = other.image?.name ?? 'the other build';
  return downloadReport(imageName, layers, fetched, { changes, previous });
}

/** Returns the layers that clients of another build lack. */
function layersToDownload(
  layers: readonly ReportedLayer[],
  other: PreviousBuild | undefined,
): readonly ReportedLayer[] {
  return layers.filter(({ blob }) => {
    const isKnown = blob !== undefined && other?.layerDigests.has(blob.digest) === true;
    return !isKnown;
  });
}

/** How a build differs from the one that clients have. */
interface Differences {
  readonly changes: readonly ComponentChange[];
  /** The layout of the build that clients have, as far as it is known. */
  readonly previous: LayoutRecord | undefined;
}

function downloadReport(
  imageName: string,
  layers: readonly ReportedLayer[],
  fetched: readonly ReportedLayer[],
  { changes, previous }: Differences,
): string {
  const sizeOf = isWritten(layers) ? blobSizeOf : contentSizeOf;
  const bytes = sumOf(fetched, sizeOf);
  const total = sumOf(layers, sizeOf);

  const fraction = `${fetched.length} of ${counted(layers.length, 'layer')}`;
  const unit = isWritten(layers) ? 'bytes' : 'bytes of content';
  const share = `${formatCount(bytes)} of ${formatCount(total)} ${unit}`;
  const percentage = formatPercent(bytes, total);
  const because = fetched.length > 0 ? ', because' : '';
  const lines = [
    `\nA client of ${imageName} downloads ${fraction}: ${share} (${percentage})${because}`,
  ];

  const changeOf = new Map(changes.map(({ id, change }) => [id, change]));
  for (const layer of fetched) {
    const reason = printable(reasonFor(layer, changeOf, previous));
    lines.push(`  layer ${layers.indexOf(layer)} (${formatBytes(sizeOf(layer))}): ${reason}`);
  }
  const removed = changes.filter(({ change }) => change === 'removed').map(({ id }) => id);
  if (removed.length > 0) {
    lines.push(`  components removed: ${printable(removed.join(', '))}`);
  }
  return lines.join('\n');
}

function reasonFor(
  layer: ReportedLayer,
  changeOf: ReadonlyMap<string, ComponentChange['change']>,
  previous: LayoutRecord | undefined,
): string {
  if (layer.chunk === undefined) {
    return layer.isOfBase ? 'the base changed' : 'the commit changed';
  }
  const reasons: string[] = [];
  const components = componentIds(layer);
  for (const id of components) {
    const change = changeOf.get(id);
    if (change !== undefined) {
      reasons.push(`${id} ${change}`);
    }
  }
  if (reasons.length > 0) {
    return reasons.join(', ');
  }
  return reasonWithoutChange(previous !== undefined && hasLayerOf(previous, components));
}

function componentIds({ chunk }: ReportedLayer): readonly string[] {
  return chunk?.components.map(({ id }) => id) ?? [];
}

function contentSizeOf({ contentSize }: ReportedLayer): number {
  return contentSize;
}

function sumOf(layers: readonly ReportedLayer[], sizeOf: (layer: ReportedLayer) => number): number {
  return layers.reduce((sum, layer) => sum + sizeOf(layer), 0);
}
