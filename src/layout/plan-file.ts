/**
 * A layout as a file, to be committed and reviewed: JSON, one component a line,
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

/** The text of a plan file. Layers without components are left out. */
export function formatPlan(layers: readonly LayoutLayer[]): string {
  const planned = layers
    .filter(({ components }) => components.length > 0)
    .map(({ components }) => ({ components }));
  return `${JSON.stringify({ version: VERSION, layers: planned }, null, 2)}\n`;
}

/** Throws `CORRUPT`, naming the member, for a text that is no plan or has a component in two layers. */
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
 * Follows a plan to the letter. Components that it does not know go into one more layer or, where there is none left,
 * into the last of the plan; a warning names them. A plan of more layers than allowed is `LIMIT`.
 */
export function strategyFromPlan(plan: readonly LayoutLayer[], log: Logger): LayoutStrategy {
  return {
    name: 'plan',
    description: 'as a plan file says',
    plan: (components, { maxLayers }) => ({ layers: followPlan(plan, components, maxLayers, log) }),
  };
}

function followPlan(
  plan: readonly LayoutLayer[],
  components: readonly Component[],
  maxLayers: number,
  log: Logger,
): readonly LayoutLayer[] {
  const left = new Set(components.map(({ id }) => id));
  const layers = plan
    .map((layer) => layer.components.filter((id) => left.delete(id)))
    .filter((ids) => ids.length > 0);
  if (layers.length > maxLayers) {
    throw new OstrataError(
      'LIMIT',
      `the plan has ${layers.length} layers, ${maxLayers} are allowed`,
    );
  }
  if (left.size > 0) {
    log.warn(`components that the plan does not know share a layer: ${[...left].join(', ')}`);
    if (layers.length < maxLayers) {
      layers.push([...left]);
    } else {
      layers.push([...(layers.pop() ?? []), ...left]);
    }
  }
  return layers.map((ids) => ({ components: ids }));
}
