/** `ostrata rpmdb diff`: which packages an update changes. */
import type { Command } from 'commander';
import type { RpmPackage } from '../../../plugins/rpm/rpmdb/index.js';
import { isImgref } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, type OpenImage, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { counted, formatTable, left } from '../output/format.js';
import { printable } from '../output/print.js';
import { terminalLogger } from '../output/terminal.js';
import { type ChangelogEntry, changelogBetween } from './changelog.js';
import { comparePackages, type PackageChanges, type PackageUpdate } from './compare-packages.js';
import type { SoundPackages } from './damage.js';
import {
  jsonOption,
  linesOf,
  type Output,
  objectDocument,
  textLine,
  withDamage,
  writeOutput,
} from './output.js';
import { dateText } from './report.js';
import {
  openCommitSource,
  openImageSource,
  openPathSource,
  type RpmdbSourceOptions,
  type Source,
} from './source.js';

interface DiffOptions extends Omit<RpmdbSourceOptions, 'root' | 'image' | 'dbpath'> {
  readonly json?: boolean | undefined;
  readonly changelog?: boolean | undefined;
}

const SOURCE_HELP =
  'an image reference, or the path of a folder or database file; with --repo, a ref or commit, ' +
  'unless it begins with a transport, / or .';

const HELP = `
Packages of one name and architecture are compared by epoch, version and release, as rpm does. The
exit code is 0 whether or not there are differences.

Examples:
  ostrata rpmdb diff --repo /ostree/repo os/stable os/testing --changelog
  ostrata rpmdb diff registry:quay.io/os/base:40 registry:quay.io/os/base:41
  ostrata rpmdb diff / oci-archive:os.ociarchive`;

export function addDiffCommand(rpmdb: Command): void {
  const command = rpmdb
    .command('diff')
    .summary('show which packages differ between two sources')
    .description('Show which packages were added, removed, upgraded and downgraded.')
    .argument('<old>', SOURCE_HELP)
    .argument('<new>', 'the same')
    .option('--changelog', 'print the entries of changelogs that only the newer version has')
    .option('--repo <path>', 'OLD and NEW are refs or commits of this ostree repository')
    .addHelpText('after', HELP)
    .action(diff);
  useOptions(command, [jsonOption, registryOptions, logOptions]);
}

async function diff(old: string, next: string, options: DiffOptions): Promise<void> {
  const imgrefs = [old, next].filter(isImgref);
  const open = imageOpener(options, imgrefs, terminalLogger(options));
  const before = await openArgument(old, options, open);
  const after = await openArgument(next, options, open);

  const changes = comparePackages(before.packages.all(), after.packages.all());
  const entriesOf = options.changelog ? changelogReader(after.packages) : undefined;
  const format = options.json ? jsonOutput : textOutput;
  const output = format(changes, entriesOf);
  const complete = withDamage(output, before.packages, after.packages);
  const form = options.json ? objectDocument : linesOf;
  await writeOutput(form(complete));
}

/** Opens what the user calls `text`. A ref begins neither with a slash nor with a dot. */
async function openArgument(text: string, options: DiffOptions, open: OpenImage): Promise<Source> {
  const { repo } = options;
  const request = { args: [], log: terminalLogger(options) };
  if (isImgref(text)) {
    const image = await open(text);
    const source = await openImageSource(image, request, false);
    // The database is in memory, and nothing else is read.
    await source.close();
    return source;
  }
  const isPath = repo === undefined || /^[/.]/.test(text);
  return isPath ? openPathSource(text, request) : openCommitSource(repo, text, request);
}

/** Returns the entries that only the newer version has; undefined if they are damaged. */
type EntriesOf = (update: PackageUpdate) => readonly ChangelogEntry[] | undefined;

function changelogReader(packages: SoundPackages): EntriesOf {
  return ({ from, to }) => {
    const [entries] = packages.map([to], () => changelogBetween(from, to));
    return entries;
  };
}

function jsonOutput(changes: PackageChanges, entriesOf: EntriesOf | undefined): Output {
  const jsonUpdate = (update: PackageUpdate) => ({
    name: update.to.name,
    from: update.from.nevra,
    to: update.to.nevra,
    changelog: entriesOf?.(update),
  });
  const jsonPackage = ({ name, nevra }: RpmPackage) => ({ name, nevra });
  const difference = {
    added: changes.added.map(jsonPackage),
    removed: changes.removed.map(jsonPackage),
    upgraded: changes.upgraded.map(jsonUpdate),
    downgraded: changes.downgraded.map(jsonUpdate),
    unchanged: changes.unchanged,
  };
  return [difference];
}

function* textOutput(changes: PackageChanges, entriesOf: EntriesOf | undefined): Output {
  const rows = changeRows(changes);
  if (rows.length > 0) {
    const table = formatTable(COLUMNS, rows);
    yield textLine(`${table}\n`);
  }
  yield textLine(countsText(changes));

  if (entriesOf === undefined) {
    return;
  }
  for (const update of [...changes.upgraded, ...changes.downgraded]) {
    const entries = entriesOf(update) ?? [];
    const text = changelogText(update, entries);
    yield textLine(`\n${text}`);
  }
}

const COLUMNS = [left('change'), left('package'), left('old'), left('new')];

function changeRows(changes: PackageChanges): string[][] {
  const rows: string[][] = [];
  for (const update of changes.upgraded) {
    rows.push(['upgraded', ...updateCells(update)]);
  }
  for (const update of changes.downgraded) {
    rows.push(['downgraded', ...updateCells(update)]);
  }
  for (const pkg of changes.added) {
    rows.push(['added', nameOf(pkg), '', pkg.evr]);
  }
  for (const pkg of changes.removed) {
    rows.push(['removed', nameOf(pkg), pkg.evr, '']);
  }
  return rows;
}

function countsText(changes: PackageChanges): string {
  const counts = [
    `${changes.upgraded.length} upgraded`,
    `${changes.downgraded.length} downgraded`,
    `${changes.added.length} added`,
    `${changes.removed.length} removed`,
  ];
  const unchanged = counted(changes.unchanged, 'package');
  return `${counts.join(', ')}; ${unchanged} unchanged`;
}

/** The architecture is part of the versions if it changed. */
function updateCells({ from, to }: PackageUpdate): readonly string[] {
  if (from.arch === to.arch) {
    return [nameOf(to), from.evr, to.evr];
  }
  const fromText = `${from.evr}.${from.arch}`;
  const toText = `${to.evr}.${to.arch}`;
  return [to.name, fromText, toText];
}

function nameOf({ name, arch }: RpmPackage): string {
  return arch === undefined ? name : `${name}.${arch}`;
}

function changelogText(update: PackageUpdate, entries: readonly ChangelogEntry[]): string {
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
