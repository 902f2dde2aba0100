/** The rows that the text and the Markdown of `ostrata diff` have in common. */
import type { ConfigChange } from '../../image/config-changes.js';
import type { FileChange } from '../../image/file-changes.js';
import { counted, formatBytes, formatCount, formatPercent } from '../output/format.js';
import { changeRows, countsText } from '../rpmdb/changes-text.js';
import type { DiffReport, PackageReport, SideReport } from './report.js';
import { directoriesCause } from './words.js';

/** A line about the whole comparison, and what it is about. */
export type Fact = readonly [title: string, text: string];

/** Returns how large the update is, what it brings, and what could not be compared. */
export function factsOf(report: DiffReport): readonly Fact[] {
  const { packages, settings, components, files } = report;
  const facts: Fact[] = [
    ['old', sideText(report.old)],
    ['new', sideText(report.new)],
  ];
  if (report.update !== undefined) {
    facts.push(['download', updateText(report)]);
  }
  if (report.update?.delta !== undefined) {
    const { size, delta } = report.update;
    const share = formatPercent(delta.size, size);
    facts.push(['delta', `${formatBytes(delta.size)} instead of the layers (${share})`]);
  }
  facts.push(['packages', packages ? countsText(packages) : missingPackages(report)]);
  if (files !== undefined && components !== undefined) {
    facts.push(['files', filesText(files)]);
  }
  if (settings !== undefined) {
    facts.push(['settings', settings.length > 0 ? `${settings.length} changed` : 'unchanged']);
  }
  return facts;
}

function sideText({ name, packages, layers, size, created }: SideReport): string {
  const details: string[] = [];
  if (layers !== undefined && size !== undefined) {
    details.push(`${counted(layers, 'layer')} of ${formatBytes(size)}`);
  }
  if (packages !== undefined) {
    details.push(counted(packages, 'package'));
  }
  if (created !== undefined) {
    details.push(`created ${created}`);
  }
  return details.length > 0 ? `${name} (${details.join(', ')})` : name;
}

/** Returns what clients of the old image download. */
function updateText({ update, new: side }: DiffReport): string {
  const { layers = 0, size = 0 } = update ?? {};
  if (layers === 0) {
    return 'nothing: the old image has all layers';
  }
  const { layers: totalLayers = 0, size: totalSize = 0 } = side;
  const count = `${formatCount(layers)} of ${counted(totalLayers, 'layer')}`;
  const share = formatPercent(size, totalSize);
  return `${formatBytes(size)} in ${count} (${share} of ${formatBytes(totalSize)})`;
}

function missingPackages({ old, new: next }: DiffReport): string {
  const missing = [old, next].filter(({ packages }) => packages === undefined);
  return `not compared: no package database in ${missing.map(({ name }) => name).join(', ')}`;
}

function filesText(changes: readonly FileChange[]): string {
  const directories = changes.filter(({ isDirectory }) => isDirectory);
  const files = changes.filter(({ isDirectory }) => !isDirectory);
  const countOf = (kind: FileChange['change']) =>
    `${formatCount(files.filter(({ change }) => change === kind).length)} ${kind}`;
  if (files.length === 0) {
    return directoriesCause(directories) || 'all are the same';
  }
  const counts = `${countOf('changed')}, ${countOf('added')}, ${countOf('removed')}`;
  if (directories.length === 0) {
    return counts;
  }
  const count = formatCount(directories.length);
  return `${counts}; ${count === '1' ? '1 directory differs' : `${count} directories differ`}`;
}

/** Returns change, package, old and new version, installed size and how it differs. */
export function packageRows(packages: PackageReport): readonly (readonly string[])[] {
  const { upgraded, downgraded, renamed, added, removed } = packages;
  const updates = [...upgraded, ...downgraded, ...renamed];
  const sizes = [
    ...updates.map(({ from, to }) => sizeCells(from.size, to.size)),
    ...added.map(({ size }) => sizeCells(0, size)),
    ...removed.map(({ size }) => sizeCells(size, 0)),
  ];
  return changeRows(packages).map((row, i) => [...row, ...(sizes[i] ?? [])]);
}

function sizeCells(old: number, next: number): readonly string[] {
  const difference = next - old;
  const sign = difference < 0 ? '-' : '+';
  const change = difference === 0 ? '' : `${sign}${formatBytes(Math.abs(difference))}`;
  return [next > 0 ? formatBytes(next) : '', change];
}

/** Characters of a value: a longer one is cut. */
const VALUE_WIDTH = 40;

/** Returns key, old and new value. */
export function settingRows(settings: readonly ConfigChange[]): readonly (readonly string[])[] {
  return settings.map((change) => [change.key, valueText(change.old), valueText(change.new)]);
}

function valueText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.length > VALUE_WIDTH ? `${text.slice(0, VALUE_WIDTH - 3)}...` : text;
}
