import { createHash } from 'node:crypto';
import type { ChangeCount, ChangeHistory, Component, LayoutLayer, PriorLayer } from '../plugin.js';

/** A layer of a planned or recorded image. */
export interface RecordedLayer extends LayoutLayer {
  /** Holds only components that asked for layers of their own; strategies never see it. */
  readonly exclusive?: boolean | undefined;
  /** What the layer's blob is known by (see `recordOf`); only recorded layers have one. */
  readonly key?: string | undefined;
  /** Expected changes a year by package data (see `changesPerYear`), Infinity: in every build; only recorded layers have it. */
  readonly changesPerYear?: number | undefined;
}

/** What is known of the image that clients have when they fetch the one being planned. */
export interface LayoutRecord {
  readonly layers: readonly RecordedLayer[];
  /** {@link fingerprint} of each component's version; a component without one counts as unchanged. */
  readonly versions?: Fingerprints | undefined;
  readonly history?: ChangeHistory | undefined;
  /** Of the image's layers up to the last with content of the commit; undefined for what is no image yet. */
  readonly chainId?: string | undefined;
  /** What the blob of the commit layer is known by, as {@link RecordedLayer.key}. */
  readonly commitKey?: string | undefined;
  /** Another tool wrote it: no layer blob of ours can equal one of its, so all of it is fetched again. */
  readonly fromOtherTool?: boolean | undefined;
}

/**
 * Share of the components known in both builds from which on an update is a rebase: a new release of the
 * distribution, a mass rebuild. Ordinary updates of a distribution change up to about a third, rebases nearly all.
 */
const REBASE_SHARE = 0.5;
/** Counts are halved above this, so that a component whose habits change is re-learnt within as many builds. */
const MAX_COUNTED_UPDATES = 128;
const FINGERPRINT_LENGTH = 6;

/** Six base64url characters (36 bits) of the SHA-256 of a version: a collision costs a few bytes of download, no harm. */
export function fingerprint(version: string): string {
  return createHash('sha256').update(version).digest('base64url').slice(0, FINGERPRINT_LENGTH);
}

/** {@link fingerprint} of each component's version. */
export type Fingerprints = ReadonlyMap<string, string>;

export function fingerprints(components: readonly Component[]): Fingerprints {
  return new Map(components.map(({ id, version }) => [id, fingerprint(version)]));
}

/** Whether each component known in both builds changed between them; components of unknown version are left out. */
export function changesSince(
  prior: LayoutRecord,
  components: readonly Component[],
): ReadonlyMap<string, boolean> {
  return changesBetween(prior.versions ?? new Map(), fingerprints(components));
}

function changesBetween(before: Fingerprints, after: Fingerprints): ReadonlyMap<string, boolean> {
  const changes = new Map<string, boolean>();
  for (const [id, version] of after) {
    const known = before.get(id);
    if (known !== undefined) {
      changes.set(id, known !== version);
    }
  }
  return changes;
}

/** The history that the build of `components` on `prior` adds up to, for exactly these components. */
export function historySince(
  { history = new Map(), versions = new Map() }: LayoutRecord,
  components: readonly Component[],
): ChangeHistory {
  return withUpdate(history, versions, fingerprints(components));
}

/** The history that builds in age order add up to, on what the image of the oldest had recorded. */
export function historyOf(
  builds: readonly Fingerprints[],
  recorded: ChangeHistory = new Map(),
): ChangeHistory {
  return builds
    .slice(1)
    .reduce((history, build, i) => withUpdate(history, builds[i] as Fingerprints, build), recorded);
}

/**
 * `history` and the update from `before` to `after`, for exactly the components of `after`. A rebuild in which nothing
 * changed and a rebase in which nearly everything did say nothing of ordinary updates, and are not counted.
 */
function withUpdate(
  known: ChangeHistory,
  before: Fingerprints,
  after: Fingerprints,
): ChangeHistory {
  const changes = changesBetween(before, after);
  const changed = [...changes.values()].filter(Boolean).length;
  const counts = changed > 0 && changed < REBASE_SHARE * changes.size;
  const history = new Map<string, ChangeCount>();
  for (const id of after.keys()) {
    const count = known.get(id) ?? { updates: 0, changes: 0 };
    const change = counts ? changes.get(id) : undefined;
    const more =
      change === undefined
        ? count
        : { updates: count.updates + 1, changes: count.changes + Number(change) };
    if (more.updates > 0) {
      history.set(id, more.updates > MAX_COUNTED_UPDATES ? halved(more) : more);
    }
  }
  return history;
}

function halved({ updates, changes }: ChangeCount): ChangeCount {
  return {
    updates: Math.round(updates / 2),
    changes: Math.min(Math.round(changes / 2), Math.round(updates / 2)),
  };
}

/** The layers of `prior` as a strategy sees them that is to place exactly `components`. */
export function previousLayers(
  prior: LayoutRecord,
  components: readonly Component[],
): PriorLayer[] {
  const wanted = new Set(components.map(({ id }) => id));
  const changes = changesSince(prior, components);
  return prior.layers.flatMap((layer) => {
    // An id listed twice (a damaged record) stays where it is listed first.
    const kept = layer.components.filter((id) => wanted.delete(id));
    if (layer.exclusive && kept.length === 0) {
      return [];
    }
    const lost = kept.length < layer.components.length;
    return [
      {
        components: kept,
        dirty: prior.fromOtherTool === true || lost || kept.some((id) => changes.get(id) === true),
      },
    ];
  });
}
