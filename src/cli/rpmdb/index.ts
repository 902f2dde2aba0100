import { once } from 'node:events';
import { type Command, InvalidArgumentError } from 'commander';
import {
  findOwners,
  type PathOwners,
  QueryFormat,
  type RpmPackage,
} from '../../../plugins/rpm/rpmdb/index.js';
import { OstrataError } from '../../errors.js';
import { useOptions } from '../options/groups.js';
import { registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { printable } from '../output/format.js';
import {
  jsonFile,
  jsonPackage,
  jsonPackageInfo,
  packageInfo,
  sortedPackages,
  statsOf,
  statsReport,
} from './report.js';
import { openSource, type RpmdbSourceOptions, rpmdbSourceOptions, type Source } from './source.js';

/** Parts of the output, one character per byte: names of files need not be UTF-8. */
type Output = Iterable<string>;
type Action = (source: Source, options: QueryOptions) => Output;
/** Output is written in pieces of about this length. */
const WRITE_SIZE = 1 << 16;

interface QueryOptions extends RpmdbSourceOptions {
  readonly queryformat?: QueryFormat | undefined;
  readonly json?: boolean | undefined;
}

export function addRpmdbCommand(program: Command): void {
  const rpmdb = program
    .command('rpmdb')
    .summary('query the RPM database of a folder, a commit or an image')
    .description(
      'Query an RPM database without rpm: sqlite, ndb and bdb, wherever it lies. It is only read: no lock is taken and no ' +
        'file made beside it.',
    )
    .addHelpText(
      'after',
      `
Where the database is read from:
  (nothing)                the system that runs, as rpm -q does
  --root DIR               a root folder
  --repo REPO REF          a commit of an ostree repository
  --image IMGREF           a container image
  --dbpath PATH            a database file or folder

Examples:
  ostrata rpmdb list --repo /ostree/repo fedora/x86_64/coreos/stable
  ostrata rpmdb list --image oci-archive:os.ociarchive --qf '%{NAME} %{BUILDTIME:day}\\n'
  ostrata rpmdb files --root /mnt bash --qf '[%{FILEMODES:perms} %{FILENAMES}\\n]'
  ostrata rpmdb owner --repo /ostree/repo REF /usr/etc/passwd /usr/lib/modules/6.1/vmlinuz

Query formats are those of rpm (see rpm -q --qf; rpm --querytags lists the tags):
  %{TAG} %-20{TAG} %{TAG:date} %{TAG:day} %{TAG:hex} %{TAG:octal} %{TAG:perms} %{TAG:fflags} %{TAG:fstate}
  %{TAG:depflags} %{TAG:humaniec} %{TAG:humansi} %{TAG:shescape} %{TAG:base64} %{TAG:arraysize}
  [%{FILENAMES} %{=NAME}\\n] once for each value   %|EPOCH?{%{EPOCH}}:{0}| whether there is one`,
    );
  const add = (name: string, summary: string, args: string, action: Action) => {
    const command = rpmdb
      .command(name)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
      .argument('[args...]', args)
      .option('--json', 'print JSON')
      .action(async (given: readonly string[], options: QueryOptions) =>
        print(action(await openSource(options, given, action === owner), options)),
      );
    useOptions(command, [rpmdbSourceOptions, registryOptions, logOptions]);
    return command;
  };
  const addQf = (command: Command) =>
    command.option(
      '--qf, --queryformat <format>',
      "print each package by rpm's query format",
      queryFormat,
    );
  addQf(
    add(
      'list',
      'list the packages',
      'names of packages, * and ? stand for anything (default: all)',
      list,
    ),
  );
  addQf(
    add(
      'info',
      'show what is known of packages',
      'names: NAME, NAME.ARCH, NAME-VERSION-RELEASE or all of it',
      info,
    ),
  );
  addQf(add('files', 'list the files of packages', 'names of packages, as for info', files));
  addQf(
    add(
      'owner',
      'tell which packages own paths',
      'paths from the root of the tree',
      owner,
    ).addHelpText(
      'after',
      '\nAs rpm -qf: files, directories and ghosts, through symlinked directories. In an ostree-shaped tree a path that was\n' +
        'moved (/etc to /usr/etc, the kernel to /usr/lib/modules) belongs to the package that installed it elsewhere, which\n' +
        'the answer tells. Exit code 1 if a path belongs to no package.',
    ),
  );
  add('stats', 'sum the database up', 'none but the ref of --repo', stats);
}

function queryFormat(text: string): QueryFormat {
  try {
    return new QueryFormat(text);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

/** By a query format in the order of the database, as rpm: nothing has to be held for sorting. */
function list({ database, rest }: Source, { queryformat: qf, json }: QueryOptions): Output {
  const patterns = rest.map(globPattern);
  const isWanted = ({ name }: RpmPackage) =>
    patterns.length === 0 || patterns.some((pattern) => pattern.test(name));
  if (qf !== undefined && !json) {
    return printed(filtered(database.packages(), isWanted), qf);
  }
  const packages = sortedPackages(filtered(database.packages(), isWanted));
  return json
    ? [jsonLine(packages.map(jsonPackage))]
    : packages.map(({ nevra }) => textLine(printable(nevra)));
}

function* filtered(
  packages: Iterable<RpmPackage>,
  isWanted: (pkg: RpmPackage) => boolean,
): Generator<RpmPackage> {
  for (const pkg of packages) {
    if (isWanted(pkg)) {
      yield pkg;
    }
  }
}
function* printed(packages: Iterable<RpmPackage>, format: QueryFormat): Generator<string> {
  for (const pkg of packages) {
    yield format.print(pkg);
  }
}

function info(source: Source, { queryformat: qf, json }: QueryOptions): Output {
  const packages = namedPackages(source);
  if (json) {
    return [jsonLine(packages.map(jsonPackageInfo))];
  }
  if (qf !== undefined) {
    return printed(packages, qf);
  }
  return [textLine(packages.map(packageInfo).join('\n\n'))];
}

function files(source: Source, { queryformat: qf, json }: QueryOptions): Output {
  const packages = namedPackages(source);
  if (json) {
    return [
      jsonLine(
        packages.map((pkg) => ({ nevra: pkg.nevra, files: Array.from(pkg.files(), jsonFile) })),
      ),
    ];
  }
  return qf === undefined ? pathLines(packages) : printed(packages, qf);
}

function* pathLines(packages: readonly RpmPackage[]): Generator<string> {
  for (const pkg of packages) {
    for (const { pathBytes } of pkg.files()) {
      yield `${shownPath(pathBytes)}\n`;
    }
  }
}

function owner(
  { database, tree, name, rest }: Source,
  { queryformat: qf, json }: QueryOptions,
): Output {
  if (rest.length === 0) {
    throw new OstrataError('USAGE', 'expected paths');
  }
  const found = findOwners(database.packages(), tree?.files ?? { resolve: () => undefined }, rest);
  if (found.some(({ owners }) => owners.length === 0)) {
    process.exitCode = 1;
  }
  if (json) {
    return [
      jsonLine(found.map((each) => ({ ...each, owners: each.owners.map(({ nevra }) => nevra) }))),
    ];
  }
  return found.map((answer) => ownerLines(answer, name, qf));
}

function ownerLines(
  { path, owners, installedAs }: PathOwners,
  name: string,
  qf: QueryFormat | undefined,
): string {
  if (owners.length === 0) {
    return textLine(`${printable(path)} is not owned by any package of ${printable(name)}`);
  }
  const note = installedAs === undefined ? '' : ` (installed as ${printable(installedAs)})`;
  return owners.map((pkg) => qf?.print(pkg) ?? textLine(`${printable(pkg.nevra)}${note}`)).join('');
}

function stats(source: Source, { json }: QueryOptions): Output {
  if (source.rest.length > 0) {
    throw new OstrataError('USAGE', `unexpected argument ${source.rest[0]}`);
  }
  const summary = statsOf(source);
  return [json ? jsonLine(summary) : textLine(statsReport(summary))];
}

/** The packages that the arguments name; `NOT_FOUND` if one names none. */
function namedPackages({ database, rest, name }: Source): RpmPackage[] {
  if (rest.length === 0) {
    throw new OstrataError('USAGE', 'expected names of packages');
  }
  const packages = sortedPackages(database.packages());
  return rest.flatMap((wanted) => {
    const found = packages.filter((pkg) => namesOf(pkg).includes(wanted));
    if (found.length === 0) {
      throw new OstrataError('NOT_FOUND', `package ${wanted} is not in ${name}`);
    }
    return found;
  });
}

/** All that rpm takes for the name of a package. */
function namesOf({ name, version, release, arch, nevra, evr }: RpmPackage): string[] {
  const full = [name, `${name}-${version}`, `${name}-${version}-${release}`, `${name}-${evr}`];
  return [...full, ...full.map((each) => `${each}.${arch}`), nevra];
}

/** `*` and `?` as in file names. */
function globPattern(glob: string): RegExp {
  const source = glob
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's');
}

/** On a terminal, a name cannot move the cursor; into a pipe go its bytes. One character per byte. */
function shownPath(path: Uint8Array): string {
  const text = Buffer.from(path);
  return process.stdout.isTTY ? bytesOf(printable(text.toString())) : text.toString('latin1');
}

const bytesOf = (text: string) => Buffer.from(text).toString('latin1');
const textLine = (text: string) => bytesOf(`${text}\n`);
const jsonLine = (value: object) => textLine(JSON.stringify(value));

/** Pauses where the reader of a pipe is slower: what is not read yet is not held in memory. */
async function print(parts: Output): Promise<void> {
  let pending: string[] = [];
  let length = 0;
  const flush = async () => {
    const isTaken = process.stdout.write(Buffer.from(pending.join(''), 'latin1'));
    pending = [];
    length = 0;
    if (!isTaken) {
      await once(process.stdout, 'drain');
    }
  };
  for (const part of parts) {
    pending.push(part);
    length += part.length;
    if (length >= WRITE_SIZE) {
      await flush();
    }
  }
  await flush();
}
