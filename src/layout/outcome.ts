/**
 * What the simulation of one layout gives, as plain data: threads send it to each other, and the
 * shards of an experiment hold it. A layout stays the same for most layers from build to build, so
 * that each layer is listed once.
 */
import * as v from 'valibot';
import { must } from '../errors.js';
import type { SeriesBuild, SimulatedBuild, SimulatedLayer } from './simulate.js';

const bytesSchema = v.pipe(v.number(), v.finite(), v.minValue(0));
const indexSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const indicesSchema = v.array(indexSchema);
const updateSchema = v.object({
  from: v.string(),
  to: v.string(),
  bytes: bytesSchema,
  boundBytes: bytesSchema,
  partBoundBytes: bytesSchema,
});
const layerSchema = v.object({
  components: v.array(v.string()),
  size: bytesSchema,
  /** The same for the same components in the same versions, even if their sizes differ. */
  content: indexSchema,
});

export const outcomeSchema = v.object({
  /** The layers of all builds, each once. */
  layers: v.array(layerSchema),
  /** Indices of the layers of each build. */
  builds: v.array(indicesSchema),
  /** The updates for each lag. */
  updates: v.array(v.pipe(v.array(updateSchema), v.readonly())),
});
export type Outcome = v.InferOutput<typeof outcomeSchema>;

type ListedLayers = Pick<Outcome, 'layers' | 'builds'>;

/** Returns the layers of a chain as {@link Outcome} has them. */
export function listLayers(chain: readonly SimulatedBuild[]): ListedLayers {
  const layers: Outcome['layers'] = [];
  const indices = new Map<string, number>();
  const contents = new Map<string, number>();
  const indexOf = ({ key, size, components }: SimulatedLayer) => {
    const content = contents.get(key) ?? contents.size;
    contents.set(key, content);
    const id = `${content} ${size}`;
    const index = indices.get(id) ?? layers.length;
    if (index === layers.length) {
      indices.set(id, index);
      layers.push({ components: [...components], size, content });
    }
    return index;
  };
  const builds = chain.map((build) => build.layers.map(indexOf));
  return { layers, builds };
}

/** Returns the chain that {@link listLayers} was given, with other keys. */
export function chainOf(
  { layers, builds: layersOfBuilds }: Outcome,
  builds: readonly SeriesBuild[],
): readonly SimulatedBuild[] {
  const simulated = layers.map(({ components, size, content }): SimulatedLayer => {
    const key = String(content);
    return { components, size, key };
  });
  return builds.map((build, i) => {
    const indices = must(layersOfBuilds[i], `layers of build ${i}`);
    const own = indices.map((index) => {
      return must(simulated[index], `layer ${index}`);
    });
    return { ...build, layers: own };
  });
}
