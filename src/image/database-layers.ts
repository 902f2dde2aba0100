/**
 * Which layers of an image hold its package databases, so that an image in a registry need not be
 * downloaded as a whole to learn its packages.
 */
import type { FileMap } from '../tree/file-map.js';
import { flattenLayers } from '../tree/flatten.js';
import type { IndexedEntry } from '../tree/layer-index.js';
import type { LayerSelection } from '../tree/spooled-image.js';
import type { ReadLayer } from './encapsulated.js';

/** A kind of package database. */
export interface DatabaseKind {
  /** Id of the component that holds it in images whose layers name their components. */
  readonly component: string;
  /** Matches the names of its files in a layer. */
  readonly fileName: RegExp;
  /**
   * Whether the whole database is in a tree of only some layers. False if that cannot be known:
   * then all layers that may hold it are read.
   */
  isWhole(files: FileMap): boolean;
}

/**
 * Selects the layers that hold package databases. Layers that name these components are read if
 * there are any. Otherwise layers are read until a database is found: what builds put on top first,
 * from the topmost down, then layers with named components, the smallest first, as none of them
 * replaces what others hold, and at last what lies below them.
 */
export function selectDatabaseLayers(
  layers: readonly ReadLayer[],
  kinds: readonly DatabaseKind[],
): LayerSelection {
  const components = kinds.map(({ component }) => component);
  const isDatabaseLayer = (layer: ReadLayer) =>
    componentsOf(layer).some((id) => components.includes(id));
  const indexed = layers.map((layer, index) => ({ layer, index }));
  const lastNamed = indexed.findLastIndex(({ layer }) => componentsOf(layer).length > 0);

  const named = indexed.filter(({ layer }) => componentsOf(layer).length > 0);
  const databaseLayers = named.filter(({ layer }) => isDatabaseLayer(layer));
  const otherNamed = named
    .filter(({ layer }) => !isDatabaseLayer(layer))
    .sort((a, b) => a.layer.descriptor.size - b.layer.descriptor.size);
  const unnamed = indexed.filter(({ layer }) => componentsOf(layer).length === 0).reverse();
  const above = unnamed.filter(({ index }) => index > lastNamed);
  const below = unnamed.filter(({ index }) => index < lastNamed);
  const order = [...above, ...databaseLayers, ...otherNamed, ...below].map(({ index }) => index);

  const required = above.length + databaseLayers.length;
  let readCount = 0;
  return {
    order,
    isEnough(read) {
      readCount++;
      const isMissing = databaseLayers.length > 0 && readCount < required;
      return !isMissing && isFound(read, kinds, databaseLayers.length > 0);
    },
  };
}

/** @param isComplete whether all layers that name a database were read */
function isFound(
  layers: readonly (readonly IndexedEntry[])[],
  kinds: readonly DatabaseKind[],
  isComplete: boolean,
): boolean {
  const present = kinds.filter(({ fileName }) =>
    layers.some((entries) => entries.some(({ name }) => fileName.test(name))),
  );
  if (present.length === 0 || isComplete) {
    return present.length > 0;
  }
  const { files } = flattenLayers(layers);
  return present.some((kind) => kind.isWhole(files));
}

function componentsOf({ recorded, names }: ReadLayer): readonly string[] {
  return recorded?.components ?? names;
}
