/** The queries of `ostrata rpmdb`. */
import {
  findOwners,
  type PathOwners,
  type QueryFormat,
  type RpmPackage,
} from '../../../plugins/rpm/rpmdb/index.js';
import { OstrataError } from '../../errors.js';
import { printable } from '../output/format.js';
import { jsonLine, type Output, pathLine, textLine } from './output.js';
import {
  jsonFile,
  jsonPackage,
  jsonPackageInfo,
  packageInfo,
  sortedPackages,
  statsOf,
  statsReport,
} from './report.js';
import type { Source } from './source.js';

export interface QueryOptions {
  readonly queryformat?: QueryFormat | undefined;
  readonly json?: boolean | undefined;
}

/** Sets the exit code of the process if the answer is incomplete. */
export type Query = (source: Source, options: QueryOptions) => Output;

/**
 * Lists packages, sorted by name. With a query format they come in the order of the database, as
 * rpm prints them: then no package has to be kept for sorting.
 */
export function list({ packages, args }: Source, { queryformat, json }: QueryOptions): Output {
  const patterns = args.map(globPattern);
  const isWanted = ({ name }: RpmPackage) =>
    patterns.length === 0 || patterns.some((pattern) => pattern.test(name));
  const wanted = filtered(packages.all(), isWanted);
  if (queryformat !== undefined && !json) {
    return packages.map(wanted, (pkg) => queryformat.print(pkg));
  }
  const sorted = sortedPackages(wanted);
  return json
    ? [jsonLine([...packages.map(sorted, jsonPackage)])]
    : sorted.map(({ nevra }) => textLine(printable(nevra)));
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

export function info(source: Source, { queryformat, json }: QueryOptions): Output {
  const { packages } = source;
  const named = namedPackages(source);
  if (json) {
    return [jsonLine([...packages.map(named, jsonPackageInfo)])];
  }
  return queryformat === undefined
    ? separatedLines(packages.map(named, packageInfo))
    : packages.map(named, (pkg) => queryformat.print(pkg));
}

/** Puts an empty line between texts. */
function* separatedLines(texts: Iterable<string>): Generator<string> {
  let separator = '';
  for (const text of texts) {
    yield textLine(`${separator}${text}`);
    separator = '\n';
  }
}

export function files(source: Source, { queryformat, json }: QueryOptions): Output {
  const { packages } = source;
  const named = namedPackages(source);
  if (json) {
    return [jsonLine([...packages.map(named, jsonPackageFiles)])];
  }
  return packages.map(
    named,
    queryformat === undefined ? pathLines : (pkg) => queryformat.print(pkg),
  );
}

function jsonPackageFiles(pkg: RpmPackage): object {
  return { nevra: pkg.nevra, files: Array.from(pkg.files(), jsonFile) };
}

function pathLines(pkg: RpmPackage): string {
  return Array.from(pkg.files(), ({ pathBytes }) => pathLine(pathBytes)).join('');
}

/** Exit code 1 if a path has no owner. */
export function owner(source: Source, { queryformat, json }: QueryOptions): Output {
  const { packages, tree, args } = source;
  if (args.length === 0) {
    throw new OstrataError('USAGE', 'expected paths');
  }
  const lookup = tree?.files ?? { resolve: () => undefined };
  const answers = findOwners(packages.all(), lookup, args, packages.onError);
  if (answers.some(({ owners }) => owners.length === 0)) {
    process.exitCode = 1;
  }
  return json
    ? [jsonLine(answers.map(jsonOwners))]
    : answers.map((answer) => ownerLines(answer, source, queryformat));
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
  return [json ? jsonLine(summary) : textLine(statsReport(summary))];
}

/** Returns the packages that the arguments name; `NOT_FOUND` for a name without a package. */
function namedPackages({ packages, args, name }: Source): readonly RpmPackage[] {
  if (args.length === 0) {
    throw new OstrataError('USAGE', 'expected names of packages');
  }
  const sorted = sortedPackages(packages.all());
  return args.flatMap((wanted) => {
    const found = sorted.filter((pkg) => namesOf(pkg).includes(wanted));
    if (found.length === 0) {
      throw new OstrataError('NOT_FOUND', `package ${wanted} is not in ${name}`);
    }
    return found;
  });
}

/** Returns every form in which rpm accepts the name of a package. */
function namesOf({ name, version, release, arch, nevra, evr }: RpmPackage): readonly string[] {
  const names = [name, `${name}-${version}`, `${name}-${version}-${release}`, `${name}-${evr}`];
  return [...names, ...names.map((each) => `${each}.${arch}`), nevra];
}

/** `*` and `?` mean what they do in file names. */
function globPattern(glob: string): RegExp {
  const source = glob
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's');
}
