/** A worker thread of experiment.ts: simulates one layout on one series at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { must } from '../../errors.js';
import { layersForComponents } from '../../layout/max-layers.js';
import { listLayers, type Outcome } from '../../layout/outcome.js';
import { buildOfPlain } from '../../layout/series.js';
import { partsOfBuilds, simulateChain, simulateUpdates } from '../../layout/simulate.js';
import type { LayoutStrategy } from '../../plugin.js';
import { type FailedReply, failedReply, receiveRequests } from '../../system/worker-task.js';
import { loadLayouts, withOptions } from '../options/plugins.js';
import type { SimulateReply, SimulateWorkerData, Unit } from './experiment.js';

const { series, options }: SimulateWorkerData = workerData;
/** What all layouts of a series are simulated on, made when the first one is. */
const divided = new Map<number, ReturnType<typeof divide>>();

function divide(index: number) {
  const plain = series[index]?.builds ?? [];
  const builds = plain.map(buildOfPlain);
  const parts = partsOfBuilds(builds);
  return { builds, parts };
}

function reply(message: SimulateReply | FailedReply): void {
  parentPort?.postMessage(message);
}

async function simulate(unit: Unit): Promise<Outcome> {
  const strategy = await loadStrategy(unit.strategy);
  const { builds, parts } = divided.get(unit.series) ?? divide(unit.series);
  divided.set(unit.series, { builds, parts });

  const limits = {
    maxLayers: layersForComponents(unit.maxLayers),
    maxLayerSize: options.maxLayerSize,
  };
  const onPlanned = () => reply({ type: 'planned' });
  const chain = simulateChain(builds, strategy, limits, onPlanned);
  const updates = options.lag.map((lag) => simulateUpdates(chain, parts, lag));
  const listed = listLayers(chain);
  return { ...listed, updates };
}

async function loadStrategy(name: string): Promise<LayoutStrategy> {
  const modules = options.plugin ?? [];
  const [strategy] = await loadLayouts(modules, [name]);
  const loaded = must(strategy, `layout ${name}`);
  return withOptions(loaded, options);
}

receiveRequests(async (unit: Unit) => {
  try {
    const outcome = await simulate(unit);
    reply({ type: 'simulated', outcome });
  } catch (error) {
    reply(failedReply(`simulating ${unit.strategy}`, error));
  }
});
