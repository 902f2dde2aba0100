/** How changes of packages are printed. */
import type {
  InstalledVersion,
  PackageChanges,
  PackageUpdate,
} from '../../components/package-changes.js';
import { counted, left } from '../output/format.js';
import { printable } from '../output/print.js';
import type { ChangelogEntry } from './changelog.js';
import { dateText } from './report.js';

type Changes = PackageChanges<InstalledVersion>;
type Update = PackageUpdate<InstalledVersion>;

export const CHANGE_COLUMNS = [left('change'), left('package'), left('old'), left('new')];

/** Returns the rows of a table with {@link CHANGE_COLUMNS}. */
export function changeRows(changes: Changes): string[][] {
  const rows: string[][] = [];
  for (const update of changes.upgraded) {
    rows.push(['upgraded', ...updateCells(update)]);
  }
  for (const update of changes.downgraded) {
    rows.push(['downgraded', ...updateCells(update)]);
  }
  for (const update of changes.renamed) {
    rows.push(['renamed', ...updateCells(update)]);
  }
  for (const pkg of changes.added) {
    rows.push(['added', nameOf(pkg), '', pkg.evr]);
  }
  for (const pkg of changes.removed) {
    rows.push(['removed', nameOf(pkg), pkg.evr, '']);
  }
  return rows;
}

/** Returns for example `2 upgraded, 0 downgraded, 1 added, 0 removed; 12 packages unchanged`. */
export function countsText(changes: Changes): string {
  const renamed = changes.renamed.length > 0 ? [`${changes.renamed.length} renamed`] : [];
  const counts = [
    `${changes.upgraded.length} upgraded`,
    `${changes.downgraded.length} downgraded`,
    ...renamed,
    `${changes.added.length} added`,
    `${changes.removed.length} removed`,
  ];
  const unchanged = counted(changes.unchanged, 'package');
  return `${counts.join(', ')}; ${unchanged} unchanged`;
}

/** Returns name, old and new version; what else changed is part of the versions. */
function updateCells({ from, to }: Update): readonly string[] {
  if (from.name !== to.name) {
    return [nameOf(to), from.nevra, to.evr];
  }
  if (from.arch === to.arch) {
    return [nameOf(to), from.evr, to.evr];
  }
  const fromText = `${from.evr}.${from.arch}`;
  const toText = `${to.evr}.${to.arch}`;
  return [to.name, fromText, toText];
}

function nameOf({ name, arch }: InstalledVersion): string {
  return arch === undefined ? name : `${name}.${arch}`;
}

/** Returns the heading of an update and its entries. */
export function changelogText(update: Update, entries: readonly ChangelogEntry[]): string {
  const [name, from, to] = updateCells(update);
  const lines = [`${name} ${from} -> ${to}`];
  for (const { time, name, text } of entries) {
    const textLines = text.split('\n');
    lines.push(`  * ${dateText(time)} ${name}`);
    lines.push(...textLines.map((line) => `  ${line}`));
  }
  if (entries.length === 0) {
    lines.push('  (no new entries)');
  }
  return lines.map(printable).join('\n');
}
