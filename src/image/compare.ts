/** What a client of one image downloads for another, and which components are the cause. */
import { buildChanges, type ComponentChange } from '../layout/changes.js';
import type { EncapsulatedImage, ReadLayer } from './encapsulated.js';

export interface ComparedLayer extends ReadLayer {
  /** Place in the new image. */
  readonly index: number;
  /** Components of the layer that changed or are new; none where only the layout moved them, or no record tells. */
  readonly changes: readonly ComponentChange[];
}

export interface ComparedImages {
  /** Layers that the new image does not have any more. */
  readonly removed: readonly ReadLayer[];
  /** Layers that a client of the old image fetches. */
  readonly added: readonly ComparedLayer[];
  /** Between the images as wholes; undefined where one of them has no layout record. */
  readonly changes: readonly ComponentChange[] | undefined;
}

/** Layers are the same where their uncompressed bytes are: clients recognise those whoever compressed them. */
export function compareImages(before: EncapsulatedImage, after: EncapsulatedImage): ComparedImages {
  const [old, now] = [before, after].map(
    ({ layers }) => new Set(layers.map(({ diffId }) => diffId)),
  );
  const changes = before.record && after.record && buildChanges(before.record, after.record);
  const changeOf = new Map(changes?.map((change) => [change.id, change]));
  const added = after.layers.flatMap((layer, index): ComparedLayer[] =>
    old?.has(layer.diffId)
      ? []
      : [
          {
            ...layer,
            index,
            changes: layer.recorded?.components.flatMap((id) => changeOf.get(id) ?? []) ?? [],
          },
        ],
  );
  return { removed: before.layers.filter(({ diffId }) => !now?.has(diffId)), added, changes };
}
