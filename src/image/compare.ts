/** Compares two images: which layers a client of one downloads for the other, and why. */
import { buildChanges, type ComponentChange, hasLayerOf } from '../layout/changes.js';
import type { LayoutRecord } from '../layout/previous-layout.js';
import { missingLayers } from '../layout/published.js';
import type { DescribedImage, ReadLayer } from './encapsulated.js';

export interface ComparedLayer extends ReadLayer {
  /** Position in the new image. */
  readonly index: number;
  /**
   * Components of the layer that changed or are new; empty if the layout only moved components
   * here, or if an image has no layout record.
   */
  readonly changes: readonly ComponentChange[];
  /** Whether a layer of the previous image holds the same components, in whatever version. */
  readonly keptComponents: boolean;
}

export interface ComparedImages {
  /** Layers of the previous image that the new one does not have; equal ones are listed once. */
  readonly removed: readonly ReadLayer[];
  /** Layers that a client of the previous image downloads; equal ones are listed once. */
  readonly added: readonly ComparedLayer[];
  /**
   * All changed components by id. If one of the images has no layout record: what was added and
   * removed by the names on the layers; undefined if there are no names.
   */
  readonly changes: readonly ComponentChange[] | undefined;
}

/** Compares layers by diff_id, and components by the layout records or the names on the layers. */
export function compareImages(previous: DescribedImage, current: DescribedImage): ComparedImages {
  const changes = changesBetween(previous, current);
  const changesById = new Map(changes?.map((change) => [change.id, change]));

  const indexed = current.layers.map((layer, index) => ({ ...layer, index }));
  const added = missingLayers(previous.layers, indexed).map((layer): ComparedLayer => {
    const components = layer.recorded?.components ?? [];
    const ownChanges = components.flatMap((id) => changesById.get(id) ?? []);
    const keptComponents = previous.record !== undefined && hasLayerOf(previous.record, components);
    return { ...layer, changes: ownChanges, keptComponents };
  });
  const removed = missingLayers(current.layers, previous.layers);
  return { removed, added, changes };
}

function changesBetween(
  previous: DescribedImage,
  current: DescribedImage,
): readonly ComponentChange[] | undefined {
  if (previous.record && current.record) {
    return buildChanges(previous.record, current.record);
  }
  const [from, to] = [previous, current].map(recordOfNames);
  return from && to && buildChanges(from, to);
}

/** The names on the layers of an image as a record without versions; undefined if it has none. */
function recordOfNames({ layers }: DescribedImage): LayoutRecord | undefined {
  const named = layers.filter(({ names }) => names.length > 0);
  return named.length > 0
    ? { layers: named.map(({ names }) => ({ components: names })) }
    : undefined;
}
