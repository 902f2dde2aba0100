/**
 * The layout of the previous image: what clients have when they download the image that is being
 * planned.
 */
import type { ChangeHistory, Component, LayoutLayer, PriorLayer } from '../plugin.js';
import {
  changesBetween,
  type Fingerprints,
  fingerprints,
  historyWithUpdate,
  NO_FINGERPRINTS,
} from './history.js';

/** A layer of a planned or recorded layout. */
export interface RecordedLayer extends LayoutLayer {
  /** It holds only components that asked for layers to themselves; strategies never see it. */
  readonly exclusive?: boolean | undefined;
  /** Determines the layer's tar before content is read; only recorded layers have a key. */
  readonly key?: string | undefined;
  /** Expected changes a year, Infinity for "in every build"; only recorded layers have it. */
  readonly changesPerYear?: number | undefined;
}

/** What is known about the layout of an image and about the builds up to it. */
export interface LayoutRecord {
  readonly layers: readonly RecordedLayer[];
  /**
   * Ids of the components of which the layers hold parts. They have versions and counts, too;
   * undefined like an empty list.
   */
  readonly wholes?: readonly string[] | undefined;
  /** A component without a fingerprint counts as unchanged. */
  readonly versions?: Fingerprints | undefined;
  readonly history?: ChangeHistory | undefined;
  /**
   * The OCI chain id of all layers up to the last of these, with those of a base image; undefined
   * before the image is written.
   */
  readonly chainId?: string | undefined;
  /** Key of the commit layer; see {@link RecordedLayer.key}. */
  readonly commitKey?: string | undefined;
  /**
   * Whether another tool made the image. Its layers cannot equal any that ostrata writes, so
   * clients download everything.
   */
  readonly fromOtherTool?: boolean | undefined;
}

/**
 * Returns the history up to and including the update from the recorded build to `components`, for
 * exactly these components.
 */
export function historySince(
  { history = new Map(), versions = NO_FINGERPRINTS }: LayoutRecord,
  components: readonly Component[],
): ChangeHistory {
  return historyWithUpdate(history, versions, fingerprints(components));
}

/**
 * Returns the recorded layers in the form in which a strategy that places exactly `components` gets
 * them.
 */
export function previousLayers(
  { layers, versions = NO_FINGERPRINTS, fromOtherTool = false }: LayoutRecord,
  components: readonly Component[],
): PriorLayer[] {
  const wanted = new Set(components.map(({ id }) => id));
  const changes = changesBetween(versions, fingerprints(components));

  const shown: PriorLayer[] = [];
  for (const layer of layers) {
    // A damaged record may list an id twice; the first one counts.
    const kept = layer.components.filter((id) => wanted.delete(id));
    const hasLost = kept.length < layer.components.length;
    const hasChanged = kept.some((id) => changes.get(id) === true);
    if (kept.length > 0 || !layer.exclusive) {
      shown.push({ components: kept, dirty: fromOtherTool || hasLost || hasChanged });
    }
  }
  return shown;
}
