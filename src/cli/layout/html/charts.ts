/** Bytes of each update: a line for each layout, and the lower bounds as areas. */
import {
  hasPartBound,
  type SimulatedUpdate,
  type SimulationRun,
} from '../../../layout/simulate.js';
import { type Element, element } from '../../html/element.js';
import { type Line, lineChart, type Point, type Tick } from '../../html/line-chart.js';

const DAY_LENGTH = 'YYYY-MM-DD'.length;
const MAX_TICKS = 5;
/** Characters of the name of a build on the axis. */
const NAME_LENGTH = 16;

/** @param runs on the same series, number of layers and lag, hence with the same bounds */
export function updatesFigure(runs: readonly SimulationRun[]): readonly Element[] {
  const [first] = runs;
  if (first === undefined || first.updates.length === 0) {
    return [];
  }
  const areas: Line[] = [lineOf('one layer per component', first, (update) => update.boundBytes)];
  if (hasPartBound(first.result)) {
    const name = 'one layer per part of a component';
    areas.push(lineOf(name, first, (update) => update.partBoundBytes));
  }
  const chart = lineChart({
    label: 'Bytes of each update with each layout; the table above sums them up.',
    lines: runs.map((run) => lineOf(run.result.strategy, run, (update) => update.bytes)),
    areas,
    ticks: updateTicks(first),
  });
  const caption = element('figcaption', {}, [
    'Bytes of each update, from the oldest to the newest',
  ]);
  return [element('figure', {}, [caption, ...chart])];
}

/** A value holds for the width of an update. */
function lineOf(
  name: string,
  { updates }: SimulationRun,
  bytesOf: (update: SimulatedUpdate) => number,
): Line {
  const points = updates.map((update, i): Point => [i, bytesOf(update)]);
  const [, last = 0] = points.at(-1) ?? [];
  return {
    name,
    points: [...points, [updates.length, last]],
  };
}

/** Labels some updates with the day of the build that is updated to, or else with its name. */
export function updateTicks({ chain, updates, result: { lag } }: SimulationRun): readonly Tick[] {
  const count = Math.min(MAX_TICKS, updates.length);
  const ticks = Array.from({ length: count }, (_, i) => {
    const update = Math.round((i * (updates.length - 1)) / Math.max(1, count - 1));
    const { date, build = '' } = chain[update + lag] ?? {};
    const text = date?.slice(0, DAY_LENGTH) ?? build.slice(-NAME_LENGTH);
    return {
      x: update + 0.5,
      text,
    };
  });
  return ticks;
}
