import { compareUtf8 } from '../bytes/text.js';
import type { Component } from '../plugin.js';
import { fingerprints, type LayoutRecord } from './previous-layout.js';

/** Why clients of the previous build fetch something. */
export interface ComponentChange {
  readonly id: string;
  readonly change: 'changed' | 'added' | 'removed';
}

/** What differs between the previous build and this one; see {@link buildChanges}. */
export function componentChanges(
  prior: LayoutRecord,
  components: readonly Component[],
): readonly ComponentChange[] {
  return buildChanges(prior, {
    layers: [{ components: components.map(({ id }) => id) }],
    versions: fingerprints(components),
  });
}

/** What differs between two builds, by id; components of unknown version count as unchanged. */
export function buildChanges(
  before: LayoutRecord,
  after: LayoutRecord,
): readonly ComponentChange[] {
  const idsOf = ({ layers }: LayoutRecord) =>
    new Set(layers.flatMap(({ components }) => components));
  const [old, now] = [idsOf(before), idsOf(after)];
  const changes: ComponentChange[] = [];
  for (const id of now) {
    const [was, is] = [before.versions?.get(id), after.versions?.get(id)];
    if (!old.has(id)) {
      changes.push({ id, change: 'added' });
    } else if (was !== undefined && is !== undefined && was !== is) {
      changes.push({ id, change: 'changed' });
    }
  }
  for (const id of old) {
    if (!now.has(id)) {
      changes.push({ id, change: 'removed' });
    }
  }
  return changes.sort((a, b) => compareUtf8(a.id, b.id));
}
