/** All that a client downloads over the time of a series, with each layout. */
import type { SimulationRun } from '../../../layout/simulate.js';
import { type Element, element } from '../../html/element.js';
import { dateTicks, type Line, lineChart } from '../../html/line-chart.js';
import { note } from '../../html/page.js';
import { counted, formatBytes } from '../../output/format.js';
import { updateTicks } from './charts.js';
import { type Download, hasDates, steadyDownload, weeklyDownload } from './weekly.js';

const TICKS = 5;

/** @param runs on the same series and number of layers, with the same lag */
export function downloadSection(runs: readonly SimulationRun[]): readonly Element[] {
  const [first] = runs;
  if (first === undefined || first.chain.length < 2) {
    return [];
  }
  const isWeekly = hasDates(first.chain);
  const downloadOf = isWeekly ? weeklyDownload : steadyDownload;
  const downloads = runs.map((run) => ({ run, download: downloadOf(run.chain) }));
  const lines = downloads.map(({ run, download }): Line => {
    const { strategy } = run.result;
    return {
      name: `${strategy}, ${formatBytes(download.bytes)}`,
      points: download.points,
    };
  });
  const title = isWeekly ? 'A client that updates weekly' : 'A client that takes every build';
  const [shown] = downloads;
  const chart = lineChart({
    label: `${title}: bytes downloaded so far with each layout; the legend has the sums.`,
    lines,
    ticks: isWeekly ? datesOf(shown?.download) : updateTicks(first),
  });
  const count = counted(shown?.download.updates ?? 0, 'update');
  const caption = element('figcaption', {}, [`All bytes downloaded so far, in ${count}`]);
  const content = [element('figure', {}, [caption, ...chart])];
  if (!isWeekly) {
    content.push(note('These builds have no dates, so no week can be told from another.'));
  }
  return [element('h3', {}, [title]), ...content];
}

function datesOf({ points }: Download = { points: [], updates: 0, bytes: 0 }) {
  const [first = 0] = points[0] ?? [];
  const [last = first] = points.at(-1) ?? [];
  return dateTicks(first, last, TICKS);
}
