/** `ostrata rpmdb`: queries an RPM database. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { QueryFormat } from '../../../plugins/rpm/rpmdb/index.js';
import { messageOf } from '../../errors.js';
import { PACKAGE_COMMANDS } from '../help.js';
import { type OptionGroup, useOptions } from '../options/groups.js';
import { registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { addDiffCommand } from './diff.js';
import {
  jsonListOptions,
  jsonOption,
  linesOf,
  listDocument,
  objectDocument,
  withDamage,
  writeOutput,
} from './output.js';
import { files, info, list, owner, type Query, type QueryOptions, stats } from './queries.js';
import { looksUpPaths, selectionOptions } from './select.js';
import { openSource, type RpmdbSourceOptions, rpmdbSourceOptions } from './source.js';
import { omittingOptions, VERIFY_HELP, verify } from './verify.js';
import { keyringOption, SIGNATURES_HELP, verifySignatures } from './verify-signatures.js';

const HELP = `
Where the database is read from:
  (no option)              the running system, as rpm -q does
  --root DIR               the system in a folder
  --repo REPO REF          a commit of an ostree repository
  --image IMGREF           a container image
  --dbpath PATH            a database file or folder

Examples:
  ostrata rpmdb list --repo /ostree/repo fedora/x86_64/coreos/stable
  ostrata rpmdb list --image oci-archive:os.ociarchive --qf '%{NAME} %{BUILDTIME:day}\\n'
  ostrata rpmdb list --root /mnt --whatprovides 'libssl.so.3()(64bit)' --whatrequires 'glibc > 2'
  ostrata rpmdb files --root /mnt bash --qf '[%{FILEMODES:perms} %{FILENAMES}\\n]'
  ostrata rpmdb owner --repo /ostree/repo REF /usr/etc/passwd /usr/lib/modules/6.1/vmlinuz

A damaged package does not hide the others: it is left out with a warning, and the exit code is 1.

Query formats are those of rpm (see rpm -q --qf; rpm --querytags lists the tags):
  %{TAG} %-20{TAG}                    a value, and a value in a column of that width
  [%{FILENAMES} %{=NAME}\\n]           once for each value
  %|EPOCH?{%{EPOCH}}:{0}|             depends on whether the tag has a value
  [%{*:xml}\\n] [%{*:json}]             all tags, as rpm --xml and rpm --json print them
  %{TAG:FORMAT}                       arraysize base64 date day depflags deptype fflags fstate
                                      fstatus hex humaniec humansi json octal perms pgpsig
                                      shescape string tagname tagnum triggertype vflags xml`;

const OWNER_HELP = `
As with rpm -qf, files, directories and ghosts are found, also through symlinked directories.
ostree moves some files, such as those in /etc to /usr/etc, and the kernel to /usr/lib/modules. A
moved file belongs to the package that installed it, and the answer names its original path.
The exit code is 1 if a path belongs to no package.`;

interface QueryCommand {
  readonly name: string;
  readonly summary: string;
  /** Describes the arguments. */
  readonly args: string;
  readonly query: Query;
  /** Options besides those of JSON and of the source. */
  readonly options: readonly OptionGroup[];
  readonly help?: string;
}

const COMMANDS: readonly QueryCommand[] = [
  {
    name: 'list',
    summary: 'list the packages',
    args: 'names of packages, or patterns with *, ? and [a-z] (default: all packages)',
    query: list,
    options: [formatOptions, listOptions, selectionOptions],
  },
  {
    name: 'info',
    summary: 'show the version, size, build and description of packages',
    args: 'names of packages: NAME, NAME.ARCH, NAME-VERSION, NAME-VERSION-RELEASE, ...',
    query: info,
    options: [formatOptions, selectionOptions],
  },
  {
    name: 'files',
    summary: 'list the files of packages',
    args: 'names of packages, as for `rpmdb info`',
    query: files,
    options: [formatOptions, selectionOptions],
  },
  {
    name: 'owner',
    summary: 'show which packages own paths',
    args: 'paths, from the root of the tree',
    query: owner,
    options: [formatOptions],
    help: OWNER_HELP,
  },
  {
    name: 'verify',
    summary: 'compare the files of packages with the tree, as rpm -V does',
    args: 'names of packages or patterns, as for `rpmdb list` (default: all packages)',
    query: verify,
    options: [selectionOptions, omittingOptions],
    help: VERIFY_HELP,
  },
  {
    name: 'verify-signatures',
    summary: 'verify the signatures of packages by given keys',
    args: 'names of packages or patterns, as for `rpmdb list` (default: all packages)',
    query: verifySignatures,
    options: [keyringOption, selectionOptions],
    help: SIGNATURES_HELP,
  },
  {
    name: 'stats',
    summary: 'count the packages, files and architectures',
    args: 'none, except the ref with --repo',
    query: stats,
    options: [],
  },
];

export function addRpmdbCommand(program: Command): void {
  const rpmdb = program
    .command('rpmdb')
    .helpGroup(PACKAGE_COMMANDS)
    .summary('query the RPM database of a system, a commit or an image')
    .description(
      'Query an RPM database without rpm. The formats sqlite, ndb and bdb are supported. The ' +
        'database is only read: nothing is locked, and no file is created beside it.',
    )
    .addHelpText('after', HELP);
  for (const command of COMMANDS) {
    addQueryCommand(rpmdb, command);
  }
  addDiffCommand(rpmdb);
}

function addQueryCommand(rpmdb: Command, { name, summary, ...rest }: QueryCommand): void {
  const { args, query, options, help } = rest;
  const command = rpmdb
    .command(name)
    .summary(summary)
    .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
    .argument('[args...]', args)
    .action((given: readonly string[], values: QueryOptions & RpmdbSourceOptions) =>
      run(query, given, values),
    );
  if (help !== undefined) {
    command.addHelpText('after', help);
  }
  const jsonOptions = query === stats ? jsonOption : jsonListOptions;
  useOptions(command, [jsonOptions, ...options, rpmdbSourceOptions, registryOptions, logOptions]);
}

/** `--queryformat`. */
function formatOptions(command: Command): Command {
  return command.addOption(
    new Option(
      '--qf, --queryformat <format>',
      'print each package in this format, as rpm -q --queryformat does',
    )
      .argParser(queryFormat)
      .conflicts(['json', 'ndjson']),
  );
}

/** `--changelog` and `--last`. */
function listOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--changelog', 'print the changelogs, as rpm -q --changelog does').conflicts(
        'queryformat',
      ),
    )
    .option('--last', 'sort by the time of installation, the newest first, as rpm -qa --last does');
}

async function run(
  query: Query,
  args: readonly string[],
  options: QueryOptions & RpmdbSourceOptions,
): Promise<void> {
  const needsTree = query === owner || query === verify || looksUpPaths(options);
  const source = await openSource(options, args, needsTree);
  try {
    const output = await query(source, options);
    const complete = withDamage(output, source.packages);
    const document = query === stats ? objectDocument : listDocument;
    const form = options.json ? document : linesOf;
    await writeOutput(form(complete));
  } finally {
    await source.close();
  }
}

function queryFormat(text: string): QueryFormat {
  try {
    return new QueryFormat(text);
  } catch (error) {
    throw new InvalidArgumentError(`${messageOf(error)}.`);
  }
}
