/** Tables of data, of which the first rows are shown and the rest can be opened. */
import { formatCount } from '../output/format.js';
import { type Content, type Element, element } from './element.js';
import { note } from './page.js';

export interface TableColumn {
  readonly title: string;
  /**
   * How its cells are laid out: figures stand at the right; a name, a version and words break into
   * lines, and what is short does not; bars take the width that is left.
   */
  readonly kind: 'number' | 'name' | 'version' | 'words' | 'short' | 'bars';
}

export type Cell = Content | readonly Content[];

export interface Table {
  /** What the rows are; unique in the page. */
  readonly caption: string;
  /** The first column is what the row is about. */
  readonly columns: readonly TableColumn[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Rows that are shown at once. */
const SHOWN_ROWS = 25;
/** Rows that a page holds: browsers are slow with much more, and nobody reads them. */
const MAX_ROWS = 2000;

/** Returns a table, and after it what it does not show. */
export function dataTable({ caption, columns, rows }: Table): readonly Element[] {
  // A few more rows are not worth a click.
  const isShort = rows.length <= SHOWN_ROWS + 5;
  const shown = isShort ? rows.length : SHOWN_ROWS;
  const parts = [scrollingTable({ caption, columns, rows: rows.slice(0, shown) })];
  if (isShort) {
    return parts;
  }
  const rest = rows.slice(shown, MAX_ROWS);
  const summary = `${formatCount(rest.length)} more rows`;
  parts.push(
    element('details', {}, [
      element('summary', {}, [summary]),
      scrollingTable({ caption: `${caption}, continued`, columns, rows: rest }),
    ]),
  );
  const left = rows.length - shown - rest.length;
  if (left > 0) {
    parts.push(note(`${formatCount(left)} more rows are left out; --json has all of them.`));
  }
  return parts;
}

/** A wide table scrolls by itself, and by the keyboard, so that the page never does. */
function scrollingTable({ caption, columns, rows }: Table): Element {
  const lines = rows.map((cells) => {
    const tags = columns.map((column, i) => cellTag(cells[i] ?? '', column, i === 0));
    return element('tr', {}, tags);
  });
  const table = element('table', {}, [
    element('caption', {}, [caption]),
    element('thead', {}, [element('tr', {}, columns.map(headerTag))]),
    element('tbody', {}, lines),
  ]);
  const region = {
    class: 'scroll',
    role: 'region',
    'aria-label': caption,
    tabindex: 0,
  };
  return element('div', region, [table]);
}

function headerTag({ title, kind }: TableColumn): Element {
  const content = title === '' ? element('span', { class: 'hidden' }, ['as a bar']) : title;
  return element('th', { scope: 'col', class: kind }, [content]);
}

/** On narrow screens, a row is a paragraph, in which figures and versions bring their titles. */
function cellTag(cell: Cell, { title, kind }: TableColumn, isHeader: boolean): Element {
  const content = isContent(cell) ? [cell] : cell;
  if (isHeader) {
    return element('th', { scope: 'row', class: kind }, content);
  }
  const isEmpty = cell === '';
  const hasTitle = kind === 'number' || kind === 'version';
  const attributes = {
    class: kind,
    'data-title': hasTitle ? title : undefined,
  };
  return element('td', attributes, isEmpty ? [] : content);
}

function isContent(cell: Cell): cell is Content {
  return !Array.isArray(cell);
}

/** A bar for a figure that stands in another cell. @param share of the longest bar */
export function bar(share: number, kind = ''): Element {
  const style = `width:${percentOfWidth(share)}`;
  return element('span', { class: `bar ${kind}`.trim(), style });
}

/** Shares of the longest bar. */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A bar for a figure that is not certain, with a line from the lowest to the highest value. */
export function intervalBar({ value, low, high }: Interval): Element {
  const left = percentOfWidth(low);
  const width = percentOfWidth(high - Math.max(0, low));
  const whisker = element('span', { class: 'whisker', style: `left:${left};width:${width}` });
  return element('span', { class: 'interval' }, [bar(value), whisker]);
}

function percentOfWidth(share: number): string {
  const inside = Math.max(0, Math.min(1, share));
  return `${(inside * 100).toFixed(1)}%`;
}

/** A list that opens when its summary is clicked. */
export function disclosure(summary: string, content: readonly Content[]): Element {
  return element('details', {}, [element('summary', {}, [summary]), ...content]);
}
