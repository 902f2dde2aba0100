/** The sentence at the top of the page: how large the update is, and why. */
import { counted, formatBytes, formatCount, someNames } from '../../output/format.js';
import type { ContentComponent, ContentReport } from '../contents.js';
import type { DiffReport, PackageReport } from '../report.js';
import { shownName } from '../words.js';

/** Layers that the headline gives as causes. */
const MAX_CAUSES = 3;
/** With this share of the download explained, more causes only make the headline longer. */
const EXPLAINED_SHARE = 0.6;
/** A component is named if it has this share of the largest one in its layer. */
const MAIN_SHARE = 0.1;
const NAMES_WIDTH = 48;

export function headlineOf(report: DiffReport): string {
  const { update, packages, files } = report;
  if (update !== undefined) {
    return downloadHeadline(report);
  }
  const changed = (files ?? []).filter(({ isDirectory }) => !isDirectory).length;
  const verb = changed === 1 ? 'differs' : 'differ';
  const filesText = changed > 0 ? `${counted(changed, 'file')} ${verb}` : 'No file differs';
  if (packages === undefined) {
    return filesText;
  }
  const isInFilesAlone = changed > 0 && countOfChanges(packages) === 0;
  const packagesText = packagesHeadline(packages);
  return isInFilesAlone ? `${packagesText}, but ${filesText}` : packagesText;
}

function downloadHeadline({ update, new: side, contents = [] }: DiffReport): string {
  const { size = 0, layers = 0 } = update ?? {};
  if (layers === 0) {
    return 'Clients download nothing: the old image has all layers of the new one';
  }
  const share = percentOf(size, side.size ?? 0);
  const download = `Clients download ${formatBytes(size)}, ${share} of the image`;
  const causes = mainCauses(contents, size);
  if (causes.length === 0) {
    return download;
  }
  const bytes = causes.reduce((sum, cause) => sum + cause.size, 0);
  const part = bytes > size / 2 ? 'most of it' : 'part of it';
  const names = causes.map((cause) => `${cause.name} (${formatBytes(cause.size)})`);
  return `${download}, ${part} for ${sentenceList(names)}`;
}

interface Cause {
  readonly name: string;
  readonly size: number;
}

/** Returns the changed components of the largest layers with such. */
function mainCauses(contents: readonly ContentReport[], total: number): readonly Cause[] {
  const causes: Cause[] = [];
  let explained = 0;
  for (const { isNew, size, components } of contents.toSorted((a, b) => b.size - a.size)) {
    const changed = components.filter(({ change }) => change !== undefined);
    if (!isNew || changed.length === 0) {
      continue;
    }
    causes.push({ name: namesOf(changed), size });
    explained += size;
    if (causes.length === MAX_CAUSES || explained > EXPLAINED_SHARE * total) {
      break;
    }
  }
  return causes;
}

/** Returns the names of the components that are most of the change, the largest first. */
function namesOf(components: readonly ContentComponent[]): string {
  const sizeOf = ({ size = 0 }: ContentComponent) => size;
  const sorted = components.toSorted((a, b) => sizeOf(b) - sizeOf(a));
  const largest = Math.max(...components.map(sizeOf));
  const main = sorted.filter((each) => sizeOf(each) >= MAIN_SHARE * largest);
  return someNames(main.map(shownName), NAMES_WIDTH);
}

function packagesHeadline(packages: PackageReport): string {
  const { unchanged } = packages;
  const changed = countOfChanges(packages);
  if (changed === 0) {
    return `All ${formatCount(unchanged)} packages are the same`;
  }
  // Of both sides: removed packages are among those that differ.
  const total = unchanged + changed;
  const verb = changed === 1 ? 'differs' : 'differ';
  const share = `${formatCount(changed)} of ${counted(total, 'package')}`;
  return `${share} ${verb}: ${changesText(packages)}`;
}

export function countOfChanges({ unchanged, ...lists }: PackageReport): number {
  return Object.values(lists).reduce((sum, list) => sum + list.length, 0);
}

/** Returns for example `23 upgraded, 1 added`; empty if nothing differs. */
export function changesText({ unchanged, ...lists }: PackageReport): string {
  const counts = Object.entries(lists).filter(([, list]) => list.length > 0);
  return counts.map(([verb, list]) => `${formatCount(list.length)} ${verb}`).join(', ');
}

/** Returns `a`, `a and b` or `a, b and c`. */
function sentenceList(texts: readonly string[]): string {
  const last = texts.at(-1) ?? '';
  const others = texts.slice(0, -1);
  return others.length > 0 ? `${others.join(', ')} and ${last}` : last;
}

/** Returns a share as people say it: `66 %`, `0.4 %`. */
export function percentOf(part: number, whole: number): string {
  const percent = whole > 0 ? (100 * part) / whole : 0;
  const digits = percent > 0 && percent < 10 ? 1 : 0;
  return `${percent.toFixed(digits)} %`;
}
