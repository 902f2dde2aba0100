/**
 * An experiment: some layouts, simulated on some series of builds. Its units are simulated by
 * worker threads, or by several machines of which each does a share; results are in the order of
 * the units, whoever simulated them.
 */
import { Worker } from 'node:worker_threads';
import { must } from '../../errors.js';
import { chainOf, type Outcome } from '../../layout/outcome.js';
import { type PlainBuild, plainBuild } from '../../layout/series.js';
import { type SimulationRun, summarize } from '../../layout/simulate.js';
import { type Context, startWork } from '../../log.js';
import { runWorkerTask } from '../../system/worker-task.js';
import type { Series } from './series.js';

/** What is simulated, besides the series. */
export interface ExperimentOptions {
  readonly strategy: readonly string[];
  /** Numbers of layers, the commit layer included. */
  readonly maxLayers: readonly number[];
  readonly lag: readonly number[];
  readonly maxLayerSize?: number | undefined;
  readonly split?: boolean | undefined;
  readonly clientCadence?: readonly number[] | undefined;
  readonly plugin?: readonly string[] | undefined;
}

export interface Experiment {
  readonly series: readonly Series[];
  readonly options: ExperimentOptions;
}

/** One layout on one series, for all lags: they share the layouts of the builds. */
export interface Unit {
  /** Index of the series. */
  readonly series: number;
  readonly strategy: string;
  /** The commit layer included. */
  readonly maxLayers: number;
}

export interface SimulateWorkerData {
  readonly series: readonly { readonly builds: readonly PlainBuild[] }[];
  readonly options: ExperimentOptions;
}

export type SimulateReply =
  | { readonly type: 'planned' }
  | { readonly type: 'simulated'; readonly outcome: Outcome };

/** Returns the units of an experiment, in the order of the report. */
export function unitsOf({ series, options }: Experiment): readonly Unit[] {
  return series.flatMap((_, index) =>
    options.strategy.flatMap((strategy) =>
      options.maxLayers.map((maxLayers) => ({ series: index, strategy, maxLayers })),
    ),
  );
}

interface RunUnitsOptions extends Context {
  /** Largest number of worker threads, at least 1. */
  readonly jobs: number;
}

/** Simulates units of an experiment. Fails as soon as one fails; no thread is left running. */
export async function runUnits(
  { series, options }: Experiment,
  units: readonly Unit[],
  { jobs, log, signal }: RunUnitsOptions,
): Promise<readonly Outcome[]> {
  let total = 0;
  for (const unit of units) {
    const builds = series[unit.series]?.builds ?? [];
    total += builds.length;
  }
  const work = startWork(log, 'simulating', total, 'builds');
  const onMessage = (reply: SimulateReply) => {
    if (reply.type === 'simulated') {
      return reply.outcome;
    }
    work.advance(1);
    return undefined;
  };

  const waiting = [...units.entries()];
  const outcomes: Outcome[] = [];
  const runWorker = async (worker: Worker) => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, unit] = next;
      const name = `simulating ${unit.strategy}`;
      outcomes[index] = await runWorkerTask(worker, unit, { name, signal, onMessage });
      const seriesName = series[unit.series]?.name ?? '';
      log.info(`simulated ${seriesName}: ${unit.strategy}, ${unit.maxLayers} layers`);
    }
  };

  const plainSeries = series.map(({ builds }) => {
    const plain = builds.map((build) => plainBuild(build));
    return { builds: plain };
  });
  const count = Math.min(jobs, units.length);
  const workers = startWorkers(count, { series: plainSeries, options });
  try {
    await Promise.all(workers.map(runWorker));
    work.end();
    return outcomes;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function startWorkers(count: number, workerData: SimulateWorkerData): readonly Worker[] {
  const module = new URL('./simulate-worker.js', import.meta.url);
  const workers: Worker[] = [];
  while (workers.length < count) {
    const worker = new Worker(module, { workerData });
    workers.push(worker);
  }
  return workers;
}

/** Returns the results of an experiment: one run for each unit and lag. */
export function runsOf(
  experiment: Experiment,
  outcomes: readonly Outcome[],
): readonly SimulationRun[] {
  const { series, options } = experiment;
  return unitsOf(experiment).flatMap(({ series: index, strategy, maxLayers }, i) => {
    const { name, builds } = must(series[index], `series ${index}`);
    const outcome = must(outcomes[i], `outcome ${i}`);
    const chain = chainOf(outcome, builds);
    return options.lag.map((lag, j) => {
      const updates = outcome.updates[j] ?? [];
      const summary = summarize(updates);
      const result = { series: name, strategy, maxLayers, lag, ...summary };
      return { result, chain, updates };
    });
  });
}
