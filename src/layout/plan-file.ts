/**
 * A layout as a file that can be committed and reviewed. It is JSON with one component per line:
 *
 *   {"version": 1, "layers": [{"components": [id, ...]}, ...]}
 */
import * as v from 'valibot';
import { parseJson } from '../bytes/json.js';
import { OstrataError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Component, LayoutLayer, LayoutStrategy } from '../plugin.js';

const VERSION = 1;
const planSchema = v.object({
  version: v.literal(VERSION),
  layers: v.array(v.object({ components: v.array(v.string()) })),
});

/** Returns the text of a plan file. Layers without components are left out. */
export function formatPlan(layers: readonly LayoutLayer[]): string {
  const written = layers
    .filter(({ components }) => components.length > 0)
    .map(({ components }) => ({ components }));
  return `${JSON.stringify({ version: VERSION, layers: written }, null, 2)}\n`;
}

/**
 * Reads the text of a plan file. Throws `CORRUPT` if the text is not a plan (the error names the
 * wrong member), or if a component is in two layers.
 */
export function parsePlan(text: string): readonly LayoutLayer[] {
  const { layers } = parseJson(text, planSchema);
  const seen = new Set<string>();
  for (const { components } of layers) {
    for (const id of components) {
      if (seen.has(id)) {
        throw new OstrataError('CORRUPT', `component ${JSON.stringify(id)} is in two layers`);
      }
      seen.add(id);
    }
  }
  return layers;
}

/**
 * Returns a strategy that follows `plan` to the letter. Components that the plan does not name go
 * into one more layer, or into the last layer of the plan if no more layers are allowed, and a
 * warning lists them. It throws `LIMIT` if the plan has more layers than allowed.
 */
export function strategyFromPlan(plan: readonly LayoutLayer[], log: Logger): LayoutStrategy {
  return {
    name: 'plan',
    description: 'as a plan file says',
    parts: new Set(plan.flatMap((layer) => layer.components)),
    plan: (components, { maxLayers }) => ({ layers: followPlan(plan, components, maxLayers, log) }),
  };
}

function followPlan(
  plan: readonly LayoutLayer[],
  components: readonly Component[],
  maxLayers: number,
  log: Logger,
): readonly LayoutLayer[] {
  const unplaced = new Set(components.map(({ id }) => id));
  const layers = plan
    .map((layer) => layer.components.filter((id) => unplaced.delete(id)))
    .filter((ids) => ids.length > 0);
  if (layers.length > maxLayers) {
    throw new OstrataError(
      'LIMIT',
      `the plan has ${layers.length} layers for components, ${maxLayers} are allowed`,
    );
  }

  if (unplaced.size > 0) {
    const names = [...unplaced].join(', ');
    log.warn(`components that are not in the plan share a layer: ${names}`);
    const lastLayer = layers.length < maxLayers ? undefined : layers.pop();
    layers.push([...(lastLayer ?? []), ...unplaced]);
  }
  return layers.map((ids) => ({ components: ids }));
}
