/** `ostrata rpmdb diff`: which packages an update changes. */
import type { Command } from 'commander';
import { compareEvr, type RpmPackage } from '../../../plugins/rpm/rpmdb/index.js';
import {
  comparePackages,
  type PackageChanges,
  type PackageUpdate,
} from '../../components/package-changes.js';
import { isImgref } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, type OpenImage, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { formatTable } from '../output/format.js';
import { terminalLogger } from '../output/terminal.js';
import { type ChangelogEntry, changelogBetween } from './changelog.js';
import { CHANGE_COLUMNS, changelogText, changeRows, countsText } from './changes-text.js';
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

  const changes = comparePackages(before.packages.all(), after.packages.all(), compareEvr);
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
type EntriesOf = (update: PackageUpdate<RpmPackage>) => readonly ChangelogEntry[] | undefined;

function changelogReader(packages: SoundPackages): EntriesOf {
  return ({ from, to }) => {
    const [entries] = packages.map([to], () => changelogBetween(from, to));
    return entries;
  };
}

function jsonOutput(changes: PackageChanges<RpmPackage>, entriesOf: EntriesOf | undefined): Output {
  const jsonUpdate = (update: PackageUpdate<RpmPackage>) => ({
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

function* textOutput(
  changes: PackageChanges<RpmPackage>,
  entriesOf: EntriesOf | undefined,
): Output {
  const rows = changeRows(changes);
  if (rows.length > 0) {
    const table = formatTable(CHANGE_COLUMNS, rows);
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
