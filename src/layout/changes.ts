/** Which components differ between two builds: the reason why clients download a layer. */
import { compareUtf8 } from '../bytes/text.js';
import type { Component } from '../plugin.js';
import { fingerprints, NO_FINGERPRINTS } from './history.js';
import type { LayoutRecord } from './previous-layout.js';

/** How one component differs between two builds. */
export interface ComponentChange {
  readonly id: string;
  readonly change: 'changed' | 'added' | 'removed';
}

/**
 * Returns what differs between the previous build and one with `components`; see {@link
 * buildChanges}.
 */
export function componentChanges(
  previous: LayoutRecord,
  components: readonly Component[],
): readonly ComponentChange[] {
  return buildChanges(previous, {
    layers: [{ components: components.map(({ id }) => id) }],
    versions: fingerprints(components),
  });
}

/**
 * Returns what differs between two builds, by id in byte order. Components of unknown version count
 * as unchanged.
 */
export function buildChanges(from: LayoutRecord, to: LayoutRecord): readonly ComponentChange[] {
  const [fromIds, toIds] = [idsOf(from), idsOf(to)];
  const { versions: fromVersions = NO_FINGERPRINTS } = from;
  const { versions: toVersions = NO_FINGERPRINTS } = to;

  const changes: ComponentChange[] = [];
  for (const id of toIds) {
    const [fromVersion, toVersion] = [fromVersions.get(id), toVersions.get(id)];
    if (!fromIds.has(id)) {
      changes.push({ id, change: 'added' });
    } else if (fromVersion !== undefined && toVersion !== undefined && fromVersion !== toVersion) {
      changes.push({ id, change: 'changed' });
    }
  }
  for (const id of fromIds) {
    if (!toIds.has(id)) {
      changes.push({ id, change: 'removed' });
    }
  }
  return changes.sort((a, b) => compareUtf8(a.id, b.id));
}

/** Whether a layer of `record` holds exactly `components`, in any order. */
export function hasLayerOf(record: LayoutRecord, components: readonly string[]): boolean {
  const wanted = new Set(components);
  return record.layers.some(
    (layer) =>
      layer.components.length === wanted.size && layer.components.every((id) => wanted.has(id)),
  );
}

function idsOf({ layers }: LayoutRecord): ReadonlySet<string> {
  return new Set(layers.flatMap(({ components }) => components));
}
