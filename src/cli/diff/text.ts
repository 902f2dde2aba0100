/** The text that `ostrata diff` prints on a terminal. */
import { formatBytes, formatTable, left, right } from '../output/format.js';
import { printable } from '../output/print.js';
import { lineWidth } from '../output/width.js';
import { changelogText } from '../rpmdb/changes-text.js';
import type { DiffReport } from './report.js';
import { factsOf, packageRows, settingRows } from './tables.js';
import { someCauses } from './words.js';

const FILES_HINT = 'With --files, all layers are read, and each is explained by the files in it.';

/** Returns all tables, without the last line end. */
export function textReport(report: DiffReport): string {
  const { layers = [], settings = [], components = [], packages } = report;
  const parts = [factsText(report)];
  if (packages !== undefined) {
    parts.push(...packageTable(packageRows(packages)));
  }
  if (layers.length > 0) {
    const columns = [right('LAYER'), right('SIZE'), left('BECAUSE')];
    const rows = layers.map(({ index, size, because }) => [
      String(index),
      formatBytes(size),
      someCauses(because, causesWidth()),
    ]);
    parts.push(formatTable(columns, rows));
  }
  if (components.length > 0) {
    const columns = [right('NEW CONTENT'), left('BECAUSE')];
    const rows = components.map(({ newSize, because }) => [formatBytes(newSize), because]);
    parts.push(formatTable(columns, rows));
  }
  if (settings.length > 0) {
    const columns = [left('SETTING'), left('OLD'), left('NEW')];
    parts.push(formatTable(columns, settingRows(settings)));
  }
  parts.push(...changelogs(report));
  if (layers.length > 0 && report.files === undefined) {
    parts.push(FILES_HINT);
  }
  return parts.join('\n\n');
}

/** Characters of the columns before the causes of a layer. */
const LAYER_COLUMNS_WIDTH = 16;
/** Characters of causes where the width of a line is not known. */
const CAUSES_WIDTH = 120;

function causesWidth(): number {
  const width = lineWidth(process.stdout);
  return width === Infinity ? CAUSES_WIDTH : width - LAYER_COLUMNS_WIDTH;
}

function factsText(report: DiffReport): string {
  const facts = factsOf(report);
  const width = Math.max(...facts.map(([title]) => title.length)) + 2;
  return facts.map(([title, text]) => `${title.padEnd(width)}${printable(text)}`).join('\n');
}

function packageTable(rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) {
    return [];
  }
  const versions = [left('CHANGE'), left('PACKAGE'), left('OLD'), left('NEW')];
  return [formatTable([...versions, right('SIZE'), right('DIFFERENCE')], rows)];
}

function changelogs({ packages }: DiffReport): readonly string[] {
  const { upgraded = [], downgraded = [], renamed = [] } = packages ?? {};
  const updates = [...upgraded, ...downgraded, ...renamed];
  return updates.flatMap((update) => {
    const { changelog } = update;
    return changelog === undefined ? [] : [changelogText(update, changelog)];
  });
}
