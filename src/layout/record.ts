/**
 * The layout record, config label `ostrata.layout`: the layout of an image and what its builds have
 * shown, for the builds after it. JSON, one object:
 *
 *   version       1
 *   chainId?      of all layers up to the last in `layers`; in an image with others, the label is
 *                 not about that image. Below them there can be layers of a base image
 *   commitKey?    key of the commit layer
 *   layers        in image order: [{"ids": [component id, ...], "exclusive"?: true,
 *                 "key"?: string, "rate"?: number | null}, ...]; rate: expected changes a year,
 *                 null for "in every build"
 *   wholes?       ids of the components that were split into parts; parts are in `layers`
 *   fingerprints? six characters for each component, in the order of `layers` and then of `wholes`,
 *                 without separator
 *   updates?      for each component in that order, the number of ordinary updates that found it in
 *                 both builds
 *   changes?      for each component in that order, in how many of these it changed
 */
import * as v from 'valibot';
import { decodeJson } from '../bytes/json.js';
import { compareUtf8 } from '../bytes/text.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { ChangeCount, Component } from '../plugin.js';
import { FINGERPRINT_LENGTH, type Fingerprints, fingerprints, NO_COUNT } from './history.js';
import type { LayoutPlan } from './plan.js';
import type { LayoutRecord, RecordedLayer } from './previous-layout.js';

export const LAYOUT_LABEL = 'ostrata.layout';
const VERSION = 1;
/**
 * Builders pass labels as arguments or environment variables, which Linux limits to 128 KiB each
 * (MAX_ARG_STRLEN).
 */
export const MAX_RECORD_BYTES = 120_000;

const countSchema = v.pipe(v.number(), v.integer(), v.minValue(0));
const layerSchema = v.object({
  ids: v.array(v.string()),
  exclusive: v.optional(v.literal(true)),
  key: v.optional(v.string()),
  rate: v.optional(v.nullable(v.pipe(v.number(), v.minValue(0)))),
});
const recordSchema = v.object({
  version: v.literal(VERSION),
  chainId: v.optional(v.string()),
  commitKey: v.optional(v.string()),
  layers: v.array(layerSchema),
  wholes: v.optional(v.array(v.string())),
  fingerprints: v.optional(v.pipe(v.string(), v.regex(/^[\w-]*$/))),
  updates: v.optional(v.array(countSchema)),
  changes: v.optional(v.array(countSchema)),
});
type ParsedRecord = v.InferOutput<typeof recordSchema>;

/**
 * Returns the layout record of an image with the layout `plan`.
 * @param known for each layer, what is recorded besides its components
 */
export function recordOf(
  plan: LayoutPlan,
  known: readonly Pick<RecordedLayer, 'key' | 'changesPerYear'>[] = [],
): LayoutRecord {
  return {
    layers: plan.layers.map(({ components, exclusive }, i) => ({
      components,
      exclusive,
      key: known[i]?.key,
      changesPerYear: known[i]?.changesPerYear,
    })),
    wholes: plan.wholes.map(({ id }) => id),
    versions: fingerprints([...plan.components, ...plan.wholes]),
    history: plan.history,
  };
}

/**
 * Returns the text of the label. If it is too long, it is written without counts, or else also
 * without fingerprints; if it still is, there is no label, and the result is undefined.
 */
export function encodeRecord(record: LayoutRecord, log: Logger): string | undefined {
  const { chainId, commitKey, wholes = [] } = record;
  const layers = record.layers.map(({ components, exclusive, key, changesPerYear }) => ({
    ids: components,
    exclusive,
    key,
    rate: changesPerYear, // JSON has no Infinity: it becomes null.
  }));
  const ids = [...record.layers.flatMap((layer) => layer.components), ...wholes];
  const versions = encodeFingerprints(ids, record);
  const counts = encodeCounts(ids, record);

  for (const optional of [{ ...versions, ...counts }, versions, {}]) {
    const text = JSON.stringify({
      version: VERSION,
      chainId,
      commitKey,
      layers,
      wholes: wholes.length > 0 ? wholes : undefined,
      ...optional,
    });
    const size = Buffer.byteLength(text);
    if (size <= MAX_RECORD_BYTES) {
      return text;
    }
    log.warn(`layout record of ${size} bytes, at most ${MAX_RECORD_BYTES}: parts are left out`);
  }
  return undefined;
}

function encodeFingerprints(ids: readonly string[], { versions }: LayoutRecord) {
  const known = ids.map((id) => versions?.get(id));
  return known.every((version) => version !== undefined) ? { fingerprints: known.join('') } : {};
}

function encodeCounts(ids: readonly string[], { history }: LayoutRecord) {
  const counts = ids.map((id) => history?.get(id) ?? NO_COUNT);
  if (counts.every(({ updates }) => updates === 0)) {
    return {};
  }
  return {
    updates: counts.map(({ updates }) => updates),
    changes: counts.map(({ changes }) => changes),
  };
}

/**
 * Returns what the label says. Never throws: a label that is damaged or of a newer version gives
 * undefined, after a warning.
 */
export function decodeRecord(text: string, log: Logger): LayoutRecord | undefined {
  const ignored = (reason: string): undefined => {
    log.warn(`label ${LAYOUT_LABEL} is ignored: ${reason}`);
    return undefined;
  };
  const size = Buffer.byteLength(text);
  if (size > MAX_RECORD_BYTES) {
    return ignored(`${size} bytes, at most ${MAX_RECORD_BYTES}`);
  }

  let json: unknown;
  try {
    json = decodeJson(text);
  } catch (error) {
    return ignored(messageOf(error));
  }
  const { success, output, issues } = v.safeParse(recordSchema, json);
  if (!success) {
    return ignored(`${v.getDotPath(issues[0]) ?? 'it'}: ${issues[0].message}`);
  }
  return toLayoutRecord(output);
}

function toLayoutRecord(parsed: ParsedRecord): LayoutRecord {
  const { wholes = [] } = parsed;
  const ids = [...parsed.layers.flatMap((layer) => layer.ids), ...wholes];
  return {
    layers: parsed.layers.map(({ ids, exclusive, key, rate }) => ({
      components: ids,
      exclusive,
      key,
      changesPerYear: rate === null ? Infinity : rate,
    })),
    chainId: parsed.chainId,
    commitKey: parsed.commitKey,
    wholes,
    versions: decodeFingerprints(ids, parsed),
    history: decodeCounts(ids, parsed),
  };
}

function decodeFingerprints(
  ids: readonly string[],
  { fingerprints = '' }: ParsedRecord,
): Fingerprints {
  const versions = new Map<string, string>();
  for (const [i, id] of ids.entries()) {
    const end = (i + 1) * FINGERPRINT_LENGTH;
    if (end <= fingerprints.length) {
      versions.set(id, fingerprints.slice(end - FINGERPRINT_LENGTH, end));
    }
  }
  return versions;
}

/** A tampered label may count more changes than updates. */
function decodeCounts(ids: readonly string[], { updates = [], changes = [] }: ParsedRecord) {
  const history = new Map<string, ChangeCount>();
  for (const [i, id] of ids.entries()) {
    const count = { updates: updates[i] ?? 0, changes: changes[i] ?? 0 };
    if (count.updates > 0) {
      history.set(id, { ...count, changes: Math.min(count.updates, count.changes) });
    }
  }
  return history;
}

/**
 * Returns a record for an image without the label, made from the component names in its annotations
 * or history. Each component of this tree counts only in the first layer that names it; unknown
 * names are ignored, with a warning.
 */
export function recordFromNames(
  namesByLayer: readonly (readonly string[])[],
  components: readonly Component[],
  log: Logger,
): LayoutRecord {
  const idsByName = componentIdsByName(components);
  const placed = new Set<string>();
  let unknownCount = 0;
  const layers = namesByLayer.map((names) => {
    const ids = [];
    for (const name of names) {
      const known = idsByName.get(name);
      unknownCount += known === undefined ? 1 : 0;
      for (const id of known ?? []) {
        if (!placed.has(id)) {
          placed.add(id);
          ids.push(id);
        }
      }
    }
    return { components: ids.sort(compareUtf8) };
  });

  if (unknownCount > 0) {
    log.warn(
      `previous layout: ${unknownCount} names fit no component of this tree and are ignored`,
    );
  }
  return { layers };
}

/**
 * Returns the ids of components by component name, and also by the name that chunkah gives to their
 * source package.
 */
function componentIdsByName(components: readonly Component[]): ReadonlyMap<string, string[]> {
  const idsByName = new Map<string, string[]>();
  const add = (name: string, id: string) => {
    const ids = idsByName.get(name) ?? [];
    idsByName.set(name, ids);
    ids.push(id);
  };
  for (const { id, name, source } of components) {
    add(name, id);
    add(`rpm/${source}`, id);
  }
  return idsByName;
}
