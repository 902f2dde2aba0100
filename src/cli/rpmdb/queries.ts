/** The queries of `ostrata rpmdb`. */
import {
  findOwners,
  type PathOwners,
  QueryFormat,
  type RpmPackage,
} from '../../../plugins/rpm/rpmdb/index.js';
import { OstrataError } from '../../errors.js';
import { printable } from '../output/print.js';
import { changelogFormat, jsonChangelog } from './changelog.js';
import { type JsonOptions, type Output, pathLine, textLine, wantsJson } from './output.js';
import {
  jsonFile,
  jsonPackage,
  jsonPackageInfo,
  newestFirst,
  packageInfo,
  statsOf,
  statsReport,
} from './report.js';
import { Selection, type SelectionOptions } from './select.js';
import type { Source } from './source.js';

export interface QueryOptions extends SelectionOptions, JsonOptions {
  readonly queryformat?: QueryFormat | undefined;
  readonly changelog?: boolean | undefined;
  readonly last?: boolean | undefined;
}

/** Sets the exit code of the process if the answer is incomplete. */
export type Query = (source: Source, options: QueryOptions) => Output | Promise<Output>;

/** What rpm prints for `rpm -qa --last`. */
const LAST = new QueryFormat(
  '%-45{NVRA} %|INSTALLTIME?{%{INSTALLTIME:date}}:{(not installed)}|\\n',
);

/**
 * Lists packages, sorted by name. With a query format, as with rpm, and with `--ndjson` they come
 * in the order of the database: then no package has to be kept for sorting.
 */
export function* list(source: Source, options: QueryOptions): Output {
  const { packages } = source;
  const { ndjson, changelog, last } = options;
  const selection = new Selection(source, options);
  const format = listFormat(options);
  const streamed = () => (last ? newestFirst(selection.sorted()) : selection.inDatabaseOrder());
  if (wantsJson(options)) {
    const selected = ndjson || last ? streamed() : selection.sorted();
    yield* packages.map(selected, changelog ? jsonChangelog : jsonPackage);
  } else if (format === undefined) {
    yield* selection.sorted().map(({ nevra }) => textLine(printable(nevra)));
  } else {
    yield* packages.map(streamed(), (pkg) => format.print(pkg));
  }
  selection.throwIfUnmet();
}

function listFormat({ queryformat, changelog, last }: QueryOptions): QueryFormat | undefined {
  if (changelog) {
    return changelogFormat;
  }
  return queryformat ?? (last ? LAST : undefined);
}

export function* info(source: Source, options: QueryOptions): Output {
  const { packages } = source;
  const { queryformat } = options;
  const selection = requiredSelection(source, options);
  const selected = selection.inGivenOrder();
  if (wantsJson(options)) {
    yield* packages.map(selected, jsonPackageInfo);
  } else if (queryformat !== undefined) {
    yield* packages.map(selected, (pkg) => queryformat.print(pkg));
  } else {
    yield* separatedLines(packages.map(selected, packageInfo));
  }
  selection.throwIfUnmet();
}

/** Puts an empty line between texts. */
function* separatedLines(texts: Iterable<string>): Generator<string> {
  let separator = '';
  for (const text of texts) {
    yield textLine(`${separator}${text}`);
    separator = '\n';
  }
}

export function* files(source: Source, options: QueryOptions): Output {
  const { packages } = source;
  const { queryformat } = options;
  const selection = requiredSelection(source, options);
  const selected = selection.inGivenOrder();
  if (wantsJson(options)) {
    yield* packages.map(selected, jsonPackageFiles);
  } else {
    const linesOf = (pkg: RpmPackage) => queryformat?.print(pkg) ?? pathLines(pkg);
    yield* packages.map(selected, linesOf);
  }
  selection.throwIfUnmet();
}

function jsonPackageFiles(pkg: RpmPackage): object {
  return { nevra: pkg.nevra, files: Array.from(pkg.files(), jsonFile) };
}

function pathLines(pkg: RpmPackage): string {
  return Array.from(pkg.files(), ({ pathBytes }) => pathLine(pathBytes)).join('');
}

/** Exit code 1 if a path has no owner. */
export function owner(source: Source, options: QueryOptions): Output {
  const { packages, tree, args } = source;
  if (args.length === 0) {
    throw new OstrataError('USAGE', 'expected paths');
  }
  const lookup = tree?.files ?? { resolve: () => undefined };
  const answers = findOwners(packages.all(), lookup, args, packages.onError);
  if (answers.some(({ owners }) => owners.length === 0)) {
    process.exitCode = 1;
  }
  return wantsJson(options)
    ? answers.map(jsonOwners)
    : answers.map((answer) => ownerLines(answer, source, options.queryformat));
}

function jsonOwners(answer: PathOwners): object {
  return { ...answer, owners: answer.owners.map(({ nevra }) => nevra) };
}

function ownerLines(
  { path, owners, installedAs }: PathOwners,
  { packages, name }: Source,
  format: QueryFormat | undefined,
): string {
  if (owners.length === 0) {
    return textLine(`${printable(path)} is not owned by any package of ${printable(name)}`);
  }
  const note = installedAs === undefined ? '' : ` (installed as ${printable(installedAs)})`;
  const ownerLine = (pkg: RpmPackage) =>
    format?.print(pkg) ?? textLine(`${printable(pkg.nevra)}${note}`);
  return [...packages.map(owners, ownerLine)].join('');
}

export function stats(source: Source, { json }: QueryOptions): Output {
  const [unexpected] = source.args;
  if (unexpected !== undefined) {
    throw new OstrataError('USAGE', `unexpected argument ${unexpected}`);
  }
  const summary = statsOf(source);
  return [json ? summary : textLine(statsReport(summary))];
}

/** Throws `USAGE` if the user selects nothing: all packages would be too much. */
function requiredSelection(source: Source, options: QueryOptions): Selection {
  const selection = new Selection(source, options);
  if (selection.isEmpty) {
    throw new OstrataError('USAGE', 'expected names of packages');
  }
  return selection;
}
