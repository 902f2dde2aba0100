/** What `container-encapsulate` prints: the layers, and what an update downloads. */

import type { ImagePlan, PlannedChunk, WrittenImage } from '../../builder/encapsulate.js';
import type { PreviousBuild } from '../../builder/previous.js';
import { type ComponentChange, componentChanges } from '../../layout/changes.js';
import { stdoutColors } from '../output/colors.js';
import {
  counted,
  formatBytes,
  formatCount,
  formatPercent,
  formatRate,
  formatTable,
  printable,
  shortDigest,
  someNames,
} from '../output/format.js';

/** Characters of component names in a row. */
const NAMES_WIDTH = 64;

/** A layer as it is reported, written or only planned. */
interface ReportedLayer {
  /** Undefined for the commit layer. */
  readonly chunk: PlannedChunk | undefined;
  readonly reused: boolean;
  /** Undefined while the layer is not written. */
  readonly blob:
    | { readonly digest: string; readonly diffId: string; readonly size: number }
    | undefined;
}

export function writtenLayers({ layers }: WrittenImage): readonly ReportedLayer[] {
  return layers.map(({ chunk, descriptor: { digest, size }, diffId, reused }) => ({
    chunk,
    reused,
    blob: { digest, diffId, size },
  }));
}

/** Layers that keep their blob are known in full before anything is written. */
export function plannedLayers({ chunks }: ImagePlan): readonly ReportedLayer[] {
  const commit = { chunk: undefined, reused: false, blob: undefined };
  return [
    commit,
    ...chunks.map((chunk) => {
      const { unchanged } = chunk;
      const blob = unchanged && { ...unchanged.descriptor, diffId: unchanged.diffId };
      return { chunk, reused: unchanged !== undefined, blob };
    }),
  ];
}

/** `--json`; a dry run has no digests, and those layers only that are reused have theirs. */
export function jsonReport(
  plan: ImagePlan,
  layers: readonly ReportedLayer[],
  image: WrittenImage | undefined,
): object {
  return {
    ...(image && { manifestDigest: image.manifestDigest, configDigest: image.configDigest }),
    commit: plan.tree.commit.checksum,
    layers: layers.map(({ chunk, reused, blob }) => ({
      ...(blob && { digest: blob.digest, diffId: blob.diffId, size: blob.size }),
      contentSize: chunk?.spec.contentSize ?? 0,
      components: chunk?.components.map(({ id }) => id) ?? [],
      reused,
    })),
  };
}

/** The layer table; `image` is undefined in a dry run. */
export function tableReport(
  plan: ImagePlan,
  layers: readonly ReportedLayer[],
  image: (WrittenImage & { readonly imgref: string }) | undefined,
): string {
  const rows = layers.map(({ chunk, reused, blob }, i) => [
    String(i),
    blob ? shortDigest(blob.digest) : '-',
    blob ? formatBytes(blob.size) : '-',
    formatBytes(chunk?.spec.contentSize ?? 0),
    formatRate(chunk?.changesPerYear ?? Infinity),
    reused ? 'kept' : 'new',
    chunk
      ? someNames(
          chunk.components.map(({ id }) => id),
          NAMES_WIDTH,
        )
      : 'ostree commit and its metadata',
  ]);
  const table = formatTable(
    [
      { title: 'LAYER', align: 'right' },
      { title: 'DIGEST', align: 'left' },
      { title: 'SIZE', align: 'right' },
      { title: 'CONTENT', align: 'right' },
      { title: 'CHANGES', align: 'right' },
      { title: 'BLOB', align: 'left' },
      { title: 'COMPONENTS', align: 'left' },
    ],
    rows,
  );
  const size = layers.reduce((sum, { blob }) => sum + (blob?.size ?? 0), 0);
  const content = layers.reduce((sum, { chunk }) => sum + (chunk?.spec.contentSize ?? 0), 0);
  const what = `${counted(layers.length, 'layer')} for ${counted(plan.components.length, 'component')}`;
  const end = image
    ? `${stdoutColors.bold(image.imgref)}: ${what}, ${formatBytes(size)} for ${formatBytes(content)} of content\n` +
      `manifest ${image.manifestDigest}`
    : `dry run, nothing is written: ${what}, ${formatBytes(content)} of content`;
  return `commit ${plan.tree.commit.checksum}\n\n${table}\n\n${end}`;
}

/** What clients of the previous build download, and why. */
export function updateReport(
  plan: ImagePlan,
  layers: readonly ReportedLayer[],
  who: string,
): string {
  return costReport(who, layers, ({ reused }) => reused, plan.changes ?? []);
}

/** The same for another image that the layout does not follow. */
export function comparisonReport(
  plan: ImagePlan,
  layers: readonly ReportedLayer[],
  other: PreviousBuild,
): string {
  const there = new Set(other.image?.manifest.layers.map(({ digest }) => digest));
  const isThere = ({ blob }: ReportedLayer) => blob !== undefined && there.has(blob.digest);
  const changes = componentChanges(other.prior(plan.components), plan.components);
  return costReport(other.image?.name ?? 'it', layers, isThere, changes);
}

function costReport(
  who: string,
  layers: readonly ReportedLayer[],
  isThere: (layer: ReportedLayer) => boolean,
  changes: readonly ComponentChange[],
): string {
  const fetched = layers.filter((layer) => !isThere(layer));
  // A planned layer has no size yet: its content is then the measure.
  const isWritten = layers.every(({ blob }) => blob !== undefined);
  const bytesOf = ({ blob, chunk }: ReportedLayer) =>
    isWritten ? (blob?.size ?? 0) : (chunk?.spec.contentSize ?? 0);
  const sum = (list: readonly ReportedLayer[]) =>
    list.reduce((bytes, layer) => bytes + bytesOf(layer), 0);
  const [bytes, total] = [sum(fetched), sum(layers)];
  const unit = isWritten ? 'bytes' : 'bytes of content';
  const lines = [
    `\nA client of ${who} downloads ${fetched.length} of ${counted(layers.length, 'layer')}: ` +
      `${formatCount(bytes)} of ${formatCount(total)} ${unit} (${formatPercent(bytes, total)}), because`,
  ];
  const changeOf = new Map(changes.map(({ id, change }) => [id, change]));
  for (const layer of fetched) {
    const reasons = layer.chunk
      ? layer.chunk.components.flatMap(({ id }) =>
          changeOf.has(id) ? [`${id} ${changeOf.get(id)}`] : [],
        )
      : ['the commit is another'];
    const text =
      reasons.length > 0 ? reasons.join(', ') : 'its components come from layers that changed';
    lines.push(
      `  layer ${layers.indexOf(layer)} (${formatBytes(bytesOf(layer))}): ${printable(text)}`,
    );
  }
  const removed = changes.filter(({ change }) => change === 'removed').map(({ id }) => id);
  if (removed.length > 0) {
    lines.push(`  removed: ${printable(removed.join(', '))}`);
  }
  return lines.join('\n');
}
