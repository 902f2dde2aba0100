import { compareUtf8 } from '../bytes/text.js';
import type { Component } from '../plugin.js';
import { changesSince, type PriorBuild } from './prior.js';

/** Why clients of the previous build fetch something. */
export interface ComponentChange {
  readonly id: string;
  readonly change: 'changed' | 'added' | 'removed';
}

/** What differs between the previous build and this one, by id; components of unknown version count as unchanged. */
export function componentChanges(prior: PriorBuild, components: readonly Component[]): readonly ComponentChange[] {
  const before = new Set(prior.layers.flatMap((layer) => layer.components));
  const changed = changesSince(prior, components);
  const now = new Set(components.map(({ id }) => id));
  const changes: ComponentChange[] = [];
  for (const id of now) {
    if (!before.has(id)) changes.push({ id, change: 'added' });
    else if (changed.get(id)) changes.push({ id, change: 'changed' });
  }
  for (const id of before) if (!now.has(id)) changes.push({ id, change: 'removed' });
  return changes.sort((a, b) => compareUtf8(a.id, b.id));
}
