/** The sentence at the top of the page: which layout costs least, and how much. */
import { type Comparison, comparisonsOf } from '../../../layout/paired.js';
import type { SimulationRun } from '../../../layout/simulate.js';
import { formatBytes } from '../../output/format.js';

type Layout = Pick<Comparison, 'strategy' | 'maxLayers'>;

/** Compares the runs on the first series and lag: what others cost cannot be compared with them. */
export function headlineOf(runs: readonly SimulationRun[]): string {
  const [first] = runs;
  if (first === undefined) {
    return 'No layout was simulated';
  }
  const { series, lag, updates } = first.result;
  if (updates === 0) {
    return `The series ${series} has too few builds for an update`;
  }
  const comparable = runs.filter(({ result }) => result.series === series && result.lag === lag);
  const [best = first] = comparable.toSorted((a, b) => a.result.bytes - b.result.bytes);
  const start = runs.length > comparable.length ? `In ${series}, updates` : 'Updates';
  const mean = formatBytes(Math.round(best.result.mean));
  const next = nextBest(comparable);
  if (next === undefined) {
    const ratio = best.result.ratio.toFixed(3);
    return `${start} cost ${mean} on average, ${ratio} times what one layer per component would`;
  }
  const cost = `${start} cost least with ${nameOf(best.result, runs)}: ${mean} on average`;
  return `${cost}; ${nextText(next, nameOf(next, runs))}`;
}

/** Returns the layout that costs least after the best one. */
function nextBest(runs: readonly SimulationRun[]): Comparison | undefined {
  const others = comparisonsOf(runs).filter((comparison) => {
    const { strategy, maxLayers, all } = comparison;
    return all.best.strategy !== strategy || all.best.maxLayers !== maxLayers;
  });
  const [next] = others.toSorted((a, b) => a.all.bytes - b.all.bytes);
  return next;
}

function nextText({ all }: Comparison, name: string): string {
  const { percent, interval } = all;
  if (percent === 0) {
    return `the next best, ${name}, costs as much`;
  }
  const more = `the next best, ${name}, costs ${percent.toFixed(1)} % more`;
  return interval !== undefined && interval.low <= 0 ? `${more}, which may be chance` : more;
}

function nameOf({ strategy, maxLayers }: Layout, runs: readonly SimulationRun[]): string {
  const numbers = new Set(runs.map(({ result }) => result.maxLayers));
  return numbers.size > 1 ? `${strategy} and ${maxLayers} layers` : strategy;
}
