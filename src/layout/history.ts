/**
 * How often components changed from build to build. Each image records the counts, and the next
 * build adds its update to them. Versions of components are compared by short fingerprints.
 */
import { createHash } from 'node:crypto';
import type { ChangeCount, ChangeHistory, Component } from '../plugin.js';

/** {@link fingerprint} of each component's version, by component id. */
export type Fingerprints = ReadonlyMap<string, string>;
export const NO_FINGERPRINTS: Fingerprints = new Map();

export const FINGERPRINT_LENGTH = 6;
/**
 * An update that changes at least this share of the components known in both builds is a rebase: a
 * new release of the distribution, or a mass rebuild. Ordinary updates change up to about a third,
 * rebases nearly all.
 */
const REBASE_SHARE = 0.5;
/**
 * The counts of a component with more updates than this are halved. Old updates thereby lose
 * weight, and the counts follow a component whose habits change.
 */
const MAX_COUNTED_UPDATES = 128;

export const NO_COUNT: ChangeCount = { updates: 0, changes: 0 };

/**
 * Returns six base64url characters (36 bits) of the SHA-256 of a version. If two versions have the
 * same fingerprint, nothing breaks: clients only download a little more.
 */
export function fingerprint(version: string): string {
  return createHash('sha256').update(version).digest('base64url').slice(0, FINGERPRINT_LENGTH);
}

/** Returns the fingerprints of all components. */
export function fingerprints(components: readonly Component[]): Fingerprints {
  return new Map(components.map(({ id, version }) => [id, fingerprint(version)]));
}

/** Returns for each component that both builds have whether it changed between them. */
export function changesBetween(from: Fingerprints, to: Fingerprints): ReadonlyMap<string, boolean> {
  const changes = new Map<string, boolean>();
  for (const [id, version] of to) {
    const known = from.get(id);
    if (known !== undefined) {
      changes.set(id, known !== version);
    }
  }
  return changes;
}

/**
 * Returns `recorded`, the history that the image of the first build recorded, plus the updates
 * between the builds, which are ordered from the oldest to the newest.
 */
export function historyOf(
  builds: readonly Fingerprints[],
  recorded: ChangeHistory = new Map(),
): ChangeHistory {
  let history = recorded;
  let previous: Fingerprints | undefined;
  for (const build of builds) {
    history = previous === undefined ? history : historyWithUpdate(history, previous, build);
    previous = build;
  }
  return history;
}

/**
 * Returns `history` plus the update between two builds, for exactly the components of `to`. A
 * rebuild in which nothing changed and a rebase say nothing about ordinary updates; they are not
 * counted.
 */
export function historyWithUpdate(
  history: ChangeHistory,
  from: Fingerprints,
  to: Fingerprints,
): ChangeHistory {
  const changes = changesBetween(from, to);
  const changedCount = [...changes.values()].filter(Boolean).length;
  const isOrdinary = changedCount > 0 && changedCount < REBASE_SHARE * changes.size;

  const result = new Map<string, ChangeCount>();
  for (const id of to.keys()) {
    const count = history.get(id) ?? NO_COUNT;
    const hasChanged = isOrdinary ? changes.get(id) : undefined;
    const updated = hasChanged === undefined ? count : counted(count, hasChanged);
    if (updated.updates > 0) {
      result.set(id, updated.updates > MAX_COUNTED_UPDATES ? halved(updated) : updated);
    }
  }
  return result;
}

function counted({ updates, changes }: ChangeCount, hasChanged: boolean): ChangeCount {
  return { updates: updates + 1, changes: changes + Number(hasChanged) };
}

function halved({ updates, changes }: ChangeCount): ChangeCount {
  const half = Math.round(updates / 2);
  return { updates: half, changes: Math.min(Math.round(changes / 2), half) };
}
