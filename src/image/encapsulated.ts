/** What an image that is read says of itself: which layers hold the commit, what they hold, how they were planned. */
import { OstrataError } from '../errors.js';
import type { LayoutRecord, RecordedLayer } from '../layout/previous-layout.js';
import { decodeRecord, LAYOUT_LABEL } from '../layout/record.js';
import type { Logger } from '../log.js';
import * as annotation from '../oci/annotations.js';
import { chainId } from '../oci/chain-id.js';
import type { ImageReader } from '../oci/image.js';
import { type Descriptor, type ImageConfig, type Manifest, parseConfig } from '../oci/types.js';

/** One layer of an image that is read. */
export interface ReadLayer {
  readonly kind: 'commit' | 'chunk' | 'derived';
  readonly descriptor: Descriptor;
  readonly diffId: string;
  readonly createdBy: string;
  /** Names by annotation or, where a builder lost it, by history; empty where neither tells. */
  readonly names: readonly string[];
  /** What the layout record says of it. */
  readonly recorded?: RecordedLayer | undefined;
}

/** An encapsulated image as its config and manifest describe it; no layer is read. */
export interface EncapsulatedImage {
  readonly labels: Readonly<Record<string, string>>;
  readonly layers: readonly ReadLayer[];
  /** The layout record, where there is one of use. */
  readonly record: LayoutRecord | undefined;
}

/** Reads config and manifest. Throws as {@link classifyLayers}; of a layout record that does not fit the layers, a warning tells. */
export async function readEncapsulated(
  image: ImageReader,
  log: Logger,
): Promise<EncapsulatedImage> {
  const config = parseConfig(await image.config());
  const labels = config.config?.Labels ?? {};
  const layers = classifyLayers(image.manifest, config);
  // Builders may lose labels and keep annotations, or the other way round.
  const record = layoutRecord(LAYOUT_LABEL in labels ? labels : image.manifest.annotations, log);
  // A place kept without components takes no blob.
  const recorded = record?.layers.filter(({ components }) => components.length > 0) ?? [];
  const chunks = layers.filter(({ kind }) => kind === 'chunk');
  const own = layers.filter(({ kind }) => kind !== 'derived');
  // Who lays out an image anew may keep labels they do not know.
  if (
    record &&
    (record.chainId !== chainId(own.map(({ diffId }) => diffId)) ||
      recorded.length !== chunks.length)
  ) {
    log.warn(
      `${image.name}: its layers are not those of its layout record; none is known by its key`,
    );
    return { labels, layers, record: { ...record, fromOtherTool: true } };
  }
  const commit =
    record?.commitKey === undefined ? undefined : { components: [], key: record.commitKey };
  const byLayer = new Map([own[0], ...chunks].map((layer, i) => [layer, [commit, ...recorded][i]]));
  return {
    labels,
    layers: layers.map((layer) => {
      const own = byLayer.get(layer);
      return own === undefined ? layer : { ...layer, recorded: own };
    }),
    record,
  };
}

/** An encapsulated image's layers; `CORRUPT` where manifest and config disagree, `UNSUPPORTED` without the ostree labels. */
export function classifyLayers(manifest: Manifest, config: ImageConfig): readonly ReadLayer[] {
  const { diff_ids: diffIds } = config.rootfs;
  if (diffIds.length !== manifest.layers.length) {
    throw new OstrataError(
      'CORRUPT',
      `${manifest.layers.length} layers in the manifest, ${diffIds.length} diff_ids in the config`,
    );
  }
  const finalDiffId = config.config?.Labels?.[annotation.OSTREE_FINAL_DIFFID];
  if (finalDiffId === undefined) {
    throw new OstrataError(
      'UNSUPPORTED',
      `not an encapsulated commit: the config has no label ${annotation.OSTREE_FINAL_DIFFID}`,
    );
  }
  const last = diffIds.indexOf(finalDiffId);
  if (last < 0) {
    throw new OstrataError(
      'CORRUPT',
      `label ${annotation.OSTREE_FINAL_DIFFID} is ${finalDiffId}, which is no diff_id of the image`,
    );
  }
  // Of derived layers, empty ones are often equal.
  const twice = manifest.layers
    .slice(0, last + 1)
    .find(({ digest }, i, all) => all.findIndex((one) => one.digest === digest) < i);
  if (twice) {
    throw new OstrataError(
      'CORRUPT',
      `layer ${twice.digest} is there twice among the layers of the commit`,
    );
  }
  const history = layerHistory(config);
  const names = namesByLayer(manifest, config);
  return manifest.layers.map((descriptor, i) => ({
    kind: i === 0 ? 'commit' : i <= last ? 'chunk' : 'derived',
    descriptor,
    diffId: diffIds[i] as string,
    createdBy: history[i]?.created_by ?? '',
    names: names[i] ?? [],
  }));
}

const layerHistory = ({ history }: ImageConfig) =>
  (history ?? []).filter(({ empty_layer }) => empty_layer !== true);

/** Component names on each layer, by annotation or, where the config is known, by history. */
export function namesByLayer(
  { layers }: Manifest,
  config?: ImageConfig,
): readonly (readonly string[])[] {
  const history = config ? layerHistory(config) : [];
  return layers.map((descriptor, i) => layerNames(descriptor, history[i]));
}

/** Whether no layer is a commit's, which has no names: chunkah's images are none that ostree made. */
export const lacksCommitLayer = (names: readonly (readonly string[])[]): boolean =>
  (names[0]?.length ?? 0) > 0;

function layerNames(
  { annotations }: Descriptor,
  history?: { readonly created_by?: string | undefined; readonly comment?: string | undefined },
): readonly string[] {
  const split = (text: string, separator: string | RegExp) => text.split(separator).filter(Boolean);
  const ostree = annotations?.[annotation.OSTREE_COMPONENTS];
  if (ostree !== undefined) {
    return split(ostree, ',').map((name) => name.replaceAll('%2C', ','));
  }
  const chunkah = annotations?.[annotation.CHUNKAH_COMPONENT];
  if (chunkah !== undefined) {
    return split(chunkah, ' ');
  }
  if (history?.created_by === 'chunkah') {
    return split(history.comment ?? '', /[\s,]+/);
  }
  return [];
}

/** The layout record in labels or annotations; undefined where there is none or it is of no use (a warning says why). */
export function layoutRecord(
  labels: Readonly<Record<string, string>> | null | undefined,
  log: Logger,
): LayoutRecord | undefined {
  const text = labels?.[LAYOUT_LABEL];
  return text === undefined ? undefined : decodeRecord(text, log);
}
