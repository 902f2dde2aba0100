/** The Markdown that `ostrata diff` prints, for release notes and summaries of pipelines. */
import { escapeMarkdown } from '../container/compare.js';
import { formatBytes, REASONS_WIDTH } from '../output/format.js';
import type { DiffReport } from './report.js';
import { factsOf, packageRows, settingRows } from './tables.js';
import { someCauses } from './words.js';

type Row = readonly string[];

/** Limit for a table in bytes: a summary of GitHub has at most 1 MiB. */
const MAX_TABLE_SIZE = 250_000;

/** Returns a list of facts and one table each for packages, layers, components and settings. */
export function markdownReport(report: DiffReport): string {
  const { packages, layers = [], components = [], settings = [] } = report;
  const facts = factsOf(report).map(([title, text]) => `- **${title}**: ${escapeMarkdown(text)}`);
  const parts = [facts.join('\n')];
  if (packages !== undefined) {
    const header = ['Package', 'Change', 'Old', 'New', 'Size', 'Difference'];
    const rows = packageRows(packages).map(([change = '', name = '', ...rest]) => [
      name,
      change,
      ...rest,
    ]);
    parts.push(...table(header, rows, [4, 5]));
  }
  const layerRows = layers.map(({ size, because }) => [
    formatBytes(size),
    someCauses(because, REASONS_WIDTH),
  ]);
  parts.push(...table(['Layer', 'Because'], layerRows, [0]));
  const componentRows = components.map(({ newSize, because }) => [formatBytes(newSize), because]);
  parts.push(...table(['New content', 'Because'], componentRows, [0]));
  parts.push(...table(['Setting', 'Old', 'New'], settingRows(settings), []));
  return parts.join('\n\n');
}

/** Returns a table, or nothing if it has no rows. @param numbers columns with numbers */
function table(header: Row, rows: readonly Row[], numbers: readonly number[]): readonly string[] {
  if (rows.length === 0) {
    return [];
  }
  const rule = header.map((_, i) => (numbers.includes(i) ? '---:' : '---'));
  const lines = [line(header), line(rule)];
  let size = 0;
  for (const [i, row] of rows.entries()) {
    const text = line(row.map(escapeMarkdown));
    size += Buffer.byteLength(text) + 1;
    if (size > MAX_TABLE_SIZE) {
      lines.push(`\n${rows.length - i} more rows are left out.`);
      break;
    }
    lines.push(text);
  }
  return [lines.join('\n')];
}

function line(cells: Row): string {
  return `| ${cells.join(' | ')} |`;
}
