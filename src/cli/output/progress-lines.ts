/** How progress is shown in lines: a heading for each piece of work, and a lane for each part. */
import type { ProgressPart } from '../../log.js';
import { formatBytes, formatCount, formatDuration, formatPercent } from './format.js';
import { printable } from './print.js';
import type { WorkState } from './progress-state.js';
import { fitted, textWidth } from './width.js';

const GAP = '  ';
/** Columns of `99.9 MB of 99.9 MB`. */
const AMOUNT_WIDTH = 18;
/** Terminals with fewer columns have no room for amounts beside the bars. */
const AMOUNT_COLUMNS = 60;
/** Terminals with fewer columns have no room for bars. */
const BAR_COLUMNS = 30;
/** Terminals with more columns have room for longer bars. */
const WIDE_COLUMNS = 100;
/** The name of a layer is no wider, however wide the terminal is. */
const MAX_NAME_WIDTH = 50;

/** How many lines and columns there are for progress. */
export interface Room {
  readonly columns: number;
  readonly rows: number;
}

/** Returns the lines that show all work, no more and no wider than there is room for. */
export function progressLines(
  works: readonly WorkState[],
  nowMs: number,
  { columns, rows }: Room,
): readonly string[] {
  const lines: string[] = [];
  let rowCount = Math.max(0, rows - works.length);

  for (const [i, work] of works.entries()) {
    const heading = headingOf(work, nowMs, columns);
    const below = works.slice(i + 1);
    const laneCount = rowCount - rowsFor(below, rowCount);
    const lanes = lanesOf(work, laneCount, columns);
    lines.push(heading, ...lanes);
    rowCount -= lanes.length;
  }

  const shown = lines.slice(0, rows);
  return shown.map((line) => {
    const isTooWide = textWidth(line) > columns;
    return isTooWide ? fitted(line, columns) : line;
  });
}

/** Returns how many of `count` rows are kept for these works: no more than is fair. */
function rowsFor(works: readonly WorkState[], count: number): number {
  const others = Math.floor(count / (works.length + 1));
  let wanted = 0;
  for (const { parts } of works) {
    wanted += parts.size;
  }
  return Math.min(wanted, count - others);
}

/** Returns the name of the work and as much about it as fits; what matters less is left out. */
export function headingOf(work: WorkState, nowMs: number, columns: number): string {
  const { last, rate } = work;
  const { unit, done, total } = last;
  const name = printable(last.work);
  const amount = amountOf(done, total, unit);
  if (done === 0 && !total) {
    return name;
  }

  const perSecond = rate.perSecond(done, nowMs);
  const hasRate = perSecond !== undefined && done !== total;
  const speed = hasRate ? `${quantity(Math.round(perSecond), unit)}/s` : '';
  if (total === undefined) {
    return firstFitting([[name, amount, speed], [name, amount], [name]], columns);
  }

  const percent = formatPercent(done, total).padStart(7);
  const title = `${name} ${percent}`;
  const left = hasRate ? `${formatDuration((total - done) / perSecond)} left` : '';
  const choices = [[title, amount, speed, left], [title, amount, left], [title, left], [title]];
  return firstFitting(choices, columns);
}

/** Returns the first choice that fits, or else the last one. Empty texts are left out. */
function firstFitting(choices: readonly (readonly string[])[], columns: number): string {
  let line = '';
  for (const parts of choices) {
    line = parts.filter(Boolean).join(GAP);
    if (textWidth(line) <= columns) {
      break;
    }
  }
  return line;
}

/** Returns at most `count` lanes; the last one of several says how many there are besides. */
function lanesOf(work: WorkState, count: number, columns: number): readonly string[] {
  const { unit } = work.last;
  const parts = [...work.parts.values()];
  const hasMore = parts.length > count && count > 1;
  const shown = parts.slice(0, hasMore ? count - 1 : count);
  const lanes = shown.map((part) => laneOf(part, unit, columns));
  if (hasMore) {
    const more = parts.length - shown.length;
    lanes.push(`${GAP}and ${formatCount(more)} more`);
  }
  return lanes;
}

/** Returns the name of a part, a bar and, if there is room, what is done of it. */
function laneOf(part: ProgressPart, unit: string, columns: number): string {
  const cells = cellsOf(part, unit, columns);
  let width = columns - GAP.length;
  for (const cell of cells) {
    width -= GAP.length + cell.length;
  }
  const nameWidth = Math.max(1, Math.min(width, MAX_NAME_WIDTH));
  const name = fitted(printable(part.name), nameWidth);
  const lane = [`${GAP}${name}`, ...cells];
  return lane.join(GAP).trimEnd();
}

function cellsOf(part: ProgressPart, unit: string, columns: number): readonly string[] {
  const { done, total } = part;
  if (total === undefined || total === 0) {
    return [];
  }
  const share = done / total;
  const percent = `${Math.floor(100 * share)} %`.padStart(5);
  if (columns < BAR_COLUMNS) {
    return [percent];
  }
  if (columns < AMOUNT_COLUMNS) {
    return [barOf(share, 10), percent];
  }
  const barWidth = columns < WIDE_COLUMNS ? 20 : 30;
  const amount = amountOf(done, total, unit);
  return [barOf(share, barWidth), amount.padStart(AMOUNT_WIDTH)];
}

/** A bar of plain characters: a terminal may show those that draw lines in one or two columns. */
function barOf(share: number, width: number): string {
  const full = Math.floor(share * width);
  const done = '#'.repeat(full);
  return `[${done.padEnd(width, '-')}]`;
}

function amountOf(done: number, total: number | undefined, unit: string): string {
  if (total === undefined) {
    return quantity(done, unit);
  }
  const part = unit === 'bytes' ? formatBytes(done) : formatCount(done);
  const whole = quantity(total, unit);
  return `${part} of ${whole}`;
}

function quantity(count: number, unit: string): string {
  return unit === 'bytes' ? formatBytes(count) : `${formatCount(count)} ${unit}`;
}
