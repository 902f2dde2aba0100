/**
 * Config label `ostrata.layout`: the layout of an image and what its builds have shown, for the builds after it.
 * JSON, one object:
 *
 *   version       1
 *   chainId?      of the layers that the commit is in: an image with others carries a label that is not about it
 *   commitKey?    what the first layer, which holds the commit, is known by
 *   layers        [{"ids": [component id, ...], "exclusive"?: true, "key"?: string, "rate"?: number | null}, ...] in image
 *                 order; rate: expected changes a year, null: in every build
 *   fingerprints? six characters for each component, in the order in which `layers` lists them, without separator
 *   updates?      ordinary updates in which each component was there before and after, in that order
 *   changes?      in how many of these it changed, in that order
 */
import * as v from 'valibot';
import { compareUtf8 } from '../bytes/text.js';
import type { Logger } from '../log.js';
import type { ChangeCount, Component } from '../plugin.js';
import type { LayoutPlan } from './plan.js';
import { fingerprints, type LayoutRecord, type RecordedLayer } from './previous-layout.js';

export const LAYOUT_LABEL = 'ostrata.layout';
const VERSION = 1;
/** Linux takes no longer argument or environment variable (MAX_ARG_STRLEN, 128 KiB), and builders pass labels as such. */
export const MAX_RECORD_BYTES = 120_000;
const FINGERPRINT = /^[\w-]{6}/;
const NO_COUNT: ChangeCount = { updates: 0, changes: 0 };

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const recordSchema = v.object({
  version: v.literal(VERSION),
  chainId: v.optional(v.string()),
  commitKey: v.optional(v.string()),
  layers: v.array(
    v.object({
      ids: v.array(v.string()),
      exclusive: v.optional(v.literal(true)),
      key: v.optional(v.string()),
      rate: v.optional(v.nullable(v.pipe(v.number(), v.minValue(0)))),
    }),
  ),
  fingerprints: v.optional(v.pipe(v.string(), v.regex(/^[\w-]*$/))),
  updates: v.optional(v.array(count)),
  changes: v.optional(v.array(count)),
});

/** What the image of `plan` records: `known[i]` is what else the caller wants to know of layer i again. */
export function recordOf(
  plan: LayoutPlan,
  components: readonly Component[],
  known: readonly Pick<RecordedLayer, 'key' | 'changesPerYear'>[] = [],
): LayoutRecord {
  return {
    layers: plan.layers.map((layer, i) => {
      const { key, changesPerYear } = known[i] ?? {};
      return {
        ...layer,
        ...(key !== undefined && { key }),
        ...(changesPerYear !== undefined && { changesPerYear }),
      };
    }),
    versions: fingerprints(components),
    history: plan.history,
  };
}

/** The label's text; over {@link MAX_RECORD_BYTES} counts, then fingerprints are left out, then there is no label. */
export function encodeRecord(record: LayoutRecord, log: Logger): string | undefined {
  const ids = record.layers.flatMap((layer) => layer.components);
  const layers = record.layers.map(({ components, exclusive, key, changesPerYear: rate }) => ({
    ids: components,
    exclusive,
    key,
    rate, // JSON has no Infinity: it becomes null
  }));
  const versions = ids.map((id) => record.versions?.get(id));
  const fingerprints = versions.every((version) => version !== undefined)
    ? { fingerprints: versions.join('') }
    : {};
  const counts = ids.map((id) => record.history?.get(id) ?? NO_COUNT);
  const history = counts.some(({ updates }) => updates > 0)
    ? {
        updates: counts.map(({ updates }) => updates),
        changes: counts.map(({ changes }) => changes),
      }
    : {};
  for (const optional of [{ ...fingerprints, ...history }, fingerprints, {}]) {
    const { chainId, commitKey } = record;
    const text = JSON.stringify({ version: VERSION, chainId, commitKey, layers, ...optional });
    if (Buffer.byteLength(text) <= MAX_RECORD_BYTES) {
      return text;
    }
    log.warn(
      `layout record of ${Buffer.byteLength(text)} bytes, at most ${MAX_RECORD_BYTES}: parts are left out`,
    );
  }
  return undefined;
}

/** What a label tells; undefined, after a warning, for one that is damaged or of a newer version. Never throws. */
export function decodeRecord(text: string, log: Logger): LayoutRecord | undefined {
  const ignored = (reason: string): undefined => {
    log.warn(`label ${LAYOUT_LABEL} is ignored: ${reason}`);
    return undefined;
  };
  if (Buffer.byteLength(text) > MAX_RECORD_BYTES) {
    return ignored(`${Buffer.byteLength(text)} bytes, at most ${MAX_RECORD_BYTES}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return ignored('it is not JSON');
  }
  const parsed = v.safeParse(recordSchema, json);
  if (!parsed.success) {
    return ignored(`${v.getDotPath(parsed.issues[0]) ?? 'it'}: ${parsed.issues[0].message}`);
  }
  return toPriorBuild(parsed.output);
}

function toPriorBuild({
  chainId,
  commitKey,
  layers,
  fingerprints,
  updates,
  changes,
}: v.InferOutput<typeof recordSchema>): LayoutRecord {
  const ids = layers.flatMap((layer) => layer.ids);
  const versions = new Map<string, string>();
  const history = new Map<string, ChangeCount>();
  for (const [i, id] of ids.entries()) {
    const version = fingerprints?.slice(i * 6).match(FINGERPRINT)?.[0];
    if (version !== undefined) {
      versions.set(id, version);
    }
    const [all = 0, changed = 0] = [updates?.[i], changes?.[i]];
    if (all > 0) {
      history.set(id, { updates: all, changes: Math.min(all, changed) });
    }
  }
  return {
    layers: layers.map(
      ({ ids, exclusive, key, rate }): RecordedLayer => ({
        components: ids,
        ...(exclusive && { exclusive }),
        ...(key !== undefined && { key }),
        ...(rate !== undefined && { changesPerYear: rate ?? Infinity }),
      }),
    ),
    ...(chainId !== undefined && { chainId }),
    ...(commitKey !== undefined && { commitKey }),
    versions,
    history,
  };
}

/** The prior build that names on layers tell of (annotations, history), where no label does; see {@link LAYOUT_LABEL}. */
export function recordFromNames(
  layers: readonly (readonly string[])[],
  components: readonly Component[],
  log: Logger,
): LayoutRecord {
  const idsByName = new Map<string, string[]>();
  const add = (name: string, id: string) =>
    idsByName.set(name, [...(idsByName.get(name) ?? []), id]);
  for (const { id, name } of components) {
    add(name, id);
  }
  // chunkah names its components after source packages.
  for (const { id, source } of components) {
    add(`rpm/${source}`, id);
  }
  const placed = new Set<string>();
  let unknown = 0;
  const prior = layers.map((names) => {
    const known = names.flatMap((name) => idsByName.get(name) ?? []);
    unknown += names.filter((name) => !idsByName.has(name)).length;
    const fresh = [...new Set(known)].filter((id) => !placed.has(id));
    for (const id of fresh) {
      placed.add(id);
    }
    return { components: fresh.sort(compareUtf8) };
  });
  if (unknown > 0) {
    log.warn(`previous layout: ${unknown} names fit no component of this tree and are ignored`);
  }
  return { layers: prior };
}
