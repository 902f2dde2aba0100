/**
 * What an image says about itself: which layers hold the commit, which components they hold, how
 * they were laid out. Reads the config and the manifest only.
 */
import { must, OstrataError } from '../errors.js';
import type { LayoutRecord, RecordedLayer } from '../layout/previous-layout.js';
import { decodeRecord, LAYOUT_LABEL } from '../layout/record.js';
import type { Logger } from '../log.js';
import * as annotation from '../oci/annotations.js';
import { chainIdsOf } from '../oci/chain-id.js';
import type { ImageReader } from '../oci/image.js';
import { type Descriptor, type ImageConfig, type Manifest, parseConfig } from '../oci/types.js';

/** One layer of an image. */
export interface ReadLayer {
  /** All layers of an image that holds no ostree commit are `plain`. */
  readonly kind: 'commit' | 'chunk' | 'derived' | 'plain';
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** The layer's `created_by` in the history of the config, or its comment; empty if none. */
  readonly createdBy: string;
  /** Names of the components, from the annotation or, if a builder dropped it, from the history. */
  readonly names: readonly string[];
  /** How often the layer is expected to change, by the layout record or by chunkah. */
  readonly changesPerYear?: number | undefined;
  /** The layer in the layout record; undefined if there is no record that fits. */
  readonly recorded?: RecordedLayer | undefined;
}

export interface DescribedImage {
  readonly labels: Labels;
  readonly layers: readonly ReadLayer[];
  /** The layout record; undefined if there is none or this version cannot read it. */
  readonly record: LayoutRecord | undefined;
}

const WEEKS_PER_YEAR = 365 / 7;

type Labels = Readonly<Record<string, string>>;

/** Like {@link describeImage}, but throws `UNSUPPORTED` for an image without an ostree commit. */
export async function readEncapsulated(image: ImageReader, log: Logger): Promise<DescribedImage> {
  const described = await describeImage(image, log);
  if (isPlain(described.layers)) {
    throw new OstrataError(
      'UNSUPPORTED',
      `not an encapsulated commit: the config has no label ${annotation.OSTREE_FINAL_DIFFID}`,
    );
  }
  return described;
}

/** Whether the image holds no ostree commit. */
export function isPlain(layers: readonly ReadLayer[]): boolean {
  return layers[0]?.kind === 'plain';
}

/** Whether a layer holds files at their paths, and no ostree objects. */
export function holdsFiles({ kind }: Pick<ReadLayer, 'kind'>): boolean {
  return kind === 'derived' || kind === 'plain';
}

/**
 * Reads config and manifest. Throws what {@link classifyLayers} throws. If the layout record does
 * not describe these layers, it is marked as another tool's, with a warning.
 */
export async function describeImage(
  image: Pick<ImageReader, 'name' | 'manifest' | 'config'>,
  log: Logger,
): Promise<DescribedImage> {
  const config = parseConfig(await image.config());
  const labels = config.config?.Labels ?? {};
  const layers = classifyLayers(image.manifest, config);

  // Builders can lose labels and keep annotations, or the other way round.
  const record = layoutRecord(
    Object.hasOwn(labels, LAYOUT_LABEL) ? labels : image.manifest.annotations,
    log,
  );
  if (record === undefined) {
    return { labels, layers, record };
  }
  const described = attachRecord(record, layers);
  if (described === undefined) {
    log.warn(
      `${image.name}: its layout record describes other layers; none can be reused by its key`,
    );
    return { labels, layers, record: { ...record, fromOtherTool: true } };
  }
  return { labels, layers: described, record };
}

/**
 * Gives each layer its entry in `record`. The recorded layers are the last of those that the chain
 * id is of: there may be layers of a base image below those of a plain image, and others may have
 * been added on top. Returns undefined if the record is of other layers: a tool laid the image out
 * anew and kept labels that it does not know.
 */
function attachRecord(
  record: LayoutRecord,
  layers: readonly ReadLayer[],
): readonly ReadLayer[] | undefined {
  const { commitKey } = record;
  const commit = commitKey === undefined ? [] : [{ components: [], key: commitKey }];
  const recorded: readonly RecordedLayer[] = [...commit, ...recordedChunks(record)];
  const chainIds = chainIdsOf(layers.map(({ diffId }) => diffId));
  const end = chainIds.indexOf(record.chainId ?? '') + 1;
  const start = end - recorded.length;
  const isCommitFirst = commitKey === undefined || start === 0;
  if (end === 0 || start < 0 || !isCommitFirst) {
    return undefined;
  }
  return layers.map((layer, i) => ({
    ...layer,
    recorded: recorded[i - start],
    changesPerYear: recorded[i - start]?.changesPerYear ?? layer.changesPerYear,
  }));
}

/**
 * Returns the recorded layers that the image has: a layer without components is only in the layout.
 */
function recordedChunks({ layers }: LayoutRecord): readonly RecordedLayer[] {
  return layers.filter(({ components }) => components.length > 0);
}

/**
 * Returns the layers of an image. Without the label that names the last layer of a commit, the
 * image holds none: its layers are plain. Throws `CORRUPT` if manifest, config and labels
 * contradict each other, or if there is no layer.
 */
export function classifyLayers(manifest: Manifest, config: ImageConfig): readonly ReadLayer[] {
  const { layers } = manifest;
  const { diff_ids: diffIds } = config.rootfs;
  if (diffIds.length !== layers.length) {
    throw new OstrataError(
      'CORRUPT',
      `${layers.length} layers in the manifest, ${diffIds.length} diff_ids in the config`,
    );
  }
  if (layers.length === 0) {
    throw new OstrataError('CORRUPT', 'the manifest lists no layers');
  }
  const finalIndex = finalLayerIndex(config);
  checkDistinct(layers.slice(0, (finalIndex ?? -1) + 1));

  const history = layerHistory(config);
  const names = namesByLayer(manifest, config);
  return layers.map((descriptor, i) => ({
    kind: layerKind(i, finalIndex),
    descriptor,
    diffId: must(diffIds[i], `diff_id ${i}`),
    createdBy: history[i]?.created_by || history[i]?.comment || '',
    names: names[i] ?? [],
    changesPerYear: chunkahRate(descriptor),
  }));
}

/** Returns the index of the last layer that belongs to the commit; undefined in a plain image. */
function finalLayerIndex(config: ImageConfig): number | undefined {
  const label = annotation.OSTREE_FINAL_DIFFID;
  const diffId = config.config?.Labels?.[label];
  if (diffId === undefined) {
    return undefined;
  }
  const index = config.rootfs.diff_ids.indexOf(diffId);
  if (index < 0) {
    throw new OstrataError(
      'CORRUPT',
      `label ${label} is ${diffId}, which is no diff_id of the image`,
    );
  }
  return index;
}

/** Other layers need not be distinct: empty ones are often equal. */
function checkDistinct(layersOfCommit: readonly Descriptor[]): void {
  const digests = new Set<string>();
  for (const { digest } of layersOfCommit) {
    if (digests.has(digest)) {
      throw new OstrataError(
        'CORRUPT',
        `layer ${digest} occurs twice among the layers of the commit`,
      );
    }
    digests.add(digest);
  }
}

function layerKind(index: number, finalIndex: number | undefined): ReadLayer['kind'] {
  if (finalIndex === undefined) {
    return 'plain';
  }
  if (index === 0) {
    return 'commit';
  }
  return index <= finalIndex ? 'chunk' : 'derived';
}

/**
 * Returns the history entries of layers; other entries are of build steps that only changed the
 * config.
 */
function layerHistory({ history }: ImageConfig) {
  return (history ?? []).filter(({ empty_layer }) => empty_layer !== true);
}

/**
 * Returns the component names of each layer, from its annotation or, if `config` is given, from its
 * history entry.
 */
export function namesByLayer(
  { layers }: Manifest,
  config?: ImageConfig,
): readonly (readonly string[])[] {
  const history = config ? layerHistory(config) : [];
  return layers.map((descriptor, i) => layerNames(descriptor, history[i]));
}

/**
 * Whether the first layer holds components, as in an image that chunkah made; an encapsulated image
 * begins with the commit layer, which has no names.
 */
export function lacksCommitLayer(names: readonly (readonly string[])[]): boolean {
  return (names[0]?.length ?? 0) > 0;
}

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
  if (history?.created_by === 'chunkah' || history?.created_by === 'ostrata') {
    return split(history.comment ?? '', /[\s,]+/);
  }
  return [];
}

/** Returns the rate that gives a layer the stability which chunkah states. */
function chunkahRate({ annotations }: Descriptor): number | undefined {
  const stability = Number(annotations?.[annotation.CHUNKAH_STABILITY]);
  return stability >= 0 && stability <= 1 ? -Math.log(stability) * WEEKS_PER_YEAR : undefined;
}

/**
 * Returns the layout record in labels or annotations; undefined if there is none or it cannot be
 * read, with a warning that says why.
 */
export function layoutRecord(
  labels: Labels | null | undefined,
  log: Logger,
): LayoutRecord | undefined {
  const text = labels?.[LAYOUT_LABEL];
  return text === undefined ? undefined : decodeRecord(text, log);
}
