/** What a client that updates once a week downloads over the time of a series. */
import type { SimulationRun } from '../../../layout/simulate.js';
import type { Point } from '../../html/line-chart.js';

type Chain = SimulationRun['chain'];
type Build = Chain[number];

const WEEK_MS = 7 * 86_400_000;

export interface Download {
  /** Milliseconds since 1970, or the number of the update; and all bytes so far. */
  readonly points: readonly Point[];
  readonly updates: number;
  readonly bytes: number;
}

/** Whether every build of a series has a date, and each is at least as late as the one before. */
export function hasDates(chain: Chain): boolean {
  const times = chain.map(timeOf);
  return times.every((time, i) => time >= (times[i - 1] ?? -Infinity));
}

/**
 * Returns the bytes of a client that begins with the first build and takes the newest one every
 * seven days.
 */
export function weeklyDownload(chain: Chain): Download {
  const [first] = chain;
  const last = chain.at(-1);
  if (first === undefined || last === undefined) {
    return {
      points: [],
      updates: 0,
      bytes: 0,
    };
  }
  const visits: Visit[] = [];
  const end = timeOf(last) + WEEK_MS;
  for (let time = timeOf(first) + WEEK_MS; time < end; time += WEEK_MS) {
    const build = chain.findLast((each) => timeOf(each) <= time) ?? first;
    visits.push({ x: time, build });
  }
  return downloadOf(first, timeOf(first), visits);
}

/** Returns the bytes of a client that takes every build. */
export function steadyDownload(chain: Chain): Download {
  const [first, ...others] = chain;
  const visits = others.map((build, i) => ({ x: i + 1, build }));
  return first === undefined ? { points: [], updates: 0, bytes: 0 } : downloadOf(first, 0, visits);
}

/** When a client looks for an update, and what it finds. */
interface Visit {
  readonly x: number;
  readonly build: Build;
}

function downloadOf(first: Build, start: number, visits: readonly Visit[]): Download {
  const points: Point[] = [[start, 0]];
  let [held, bytes, updates] = [first, 0, 0];
  for (const { x, build } of visits) {
    const size = missingBytes(held, build);
    bytes += size;
    updates += Number(build !== held);
    held = build;
    points.push([x, bytes]);
  }
  return {
    points,
    updates,
    bytes,
  };
}

function missingBytes(held: Build, next: Build): number {
  const keys = new Set(held.layers.map(({ key }) => key));
  const missing = next.layers.filter(({ key }) => !keys.has(key));
  return missing.reduce((sum, { size }) => sum + size, 0);
}

/** Returns NaN for a build without a date. */
function timeOf({ date = '' }: Build): number {
  return Date.parse(date);
}
