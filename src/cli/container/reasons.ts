/** Why clients download a layer, as far as the images record it. */
import type { ComparedLayer } from '../../image/compare.js';
import { type Cell, REASONS_WIDTH, someNames } from '../output/format.js';

/** Returns why clients of the old image download a layer: a text, or the changed components. */
export function reasonOf(layer: ComparedLayer): Cell {
  const { kind, changes, recorded, names, createdBy } = layer;
  if (kind === 'commit') {
    return 'the commit changed';
  }
  if (changes.length > 0) {
    return changes.map(({ id, change }) => `${id} ${change}`);
  }
  if (recorded !== undefined) {
    return reasonWithoutChange(layer.keptComponents);
  }
  return names.length > 0 ? `holds ${someNames(names, REASONS_WIDTH)}` : createdBy;
}

/**
 * Returns why clients download a layer although none of its components changed.
 * @param keptComponents whether a layer of the previous image holds the same components
 */
export function reasonWithoutChange(keptComponents: boolean): string {
  return keptComponents
    ? 'a directory above its files changed its mode, owner or xattrs, or the layer format changed'
    : 'its components come from layers that changed';
}

/** Sorts layers, the largest first. */
export function bySize(layers: readonly ComparedLayer[]): readonly ComparedLayer[] {
  return layers.toSorted((a, b) => b.descriptor.size - a.descriptor.size || a.index - b.index);
}
