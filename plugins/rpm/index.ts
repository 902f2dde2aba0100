/**
 * Content source `rpm`: files belong to the packages of the tree's RPM database; component ids are
 * `name.arch`.
 */
import {
  type Claims,
  type ComponentFacts,
  type ContentSource,
  compareUtf8,
  decodeUtf8,
  type FileMap,
  type Logger,
  type MissingFile,
  OstrataError,
  type PackageFacts,
  PathOwners,
  type ShippedFile,
  type TreePath,
} from '../../src/plugin.js';
import { locatedFiles } from './located-files.js';
import {
  findRpmdb,
  isDamage,
  openTreeRpmdb,
  type Rpmdb,
  type RpmFile,
  type RpmPackage,
} from './rpmdb/index.js';

/** The database lists trusted keys like packages; they own no files. */
const KEY_PACKAGE = 'gpg-pubkey';
/** The id of the component that holds the database. */
export const RPMDB_COMPONENT = 'rpmdb';
const RPMDB_FACTS: ComponentFacts = {
  name: RPMDB_COMPONENT,
  source: RPMDB_COMPONENT,
  packages: [],
  updateInterval: 0,
};
/** rpm-ostree's second copy of the database changes with the first. */
const BASE_DB = '/usr/lib/sysimage/rpm-ostree-base-db/';

/** How a damaged package database is read. */
export interface DamageOptions {
  /**
   * Whether damaged packages are left out, with a warning for each. Otherwise the source throws.
   */
  readonly skipDamagedPackages?: boolean | undefined;
}

/** The content source that throws if a package is damaged. */
export const rpm: ContentSource = rpmSource();

/** Makes the content source. */
export function rpmSource(options: DamageOptions = {}): ContentSource {
  return {
    name: 'rpm',
    priority: 20,
    detect: (files) => findRpmdb(files) !== undefined,
    async load({ tree, log, signal }) {
      const database = await openTreeRpmdb(tree);
      const path = database.location.database;
      return withHint(() => {
        const installed = installedPackages(database, log, options);
        log.info(`rpmdb ${path} (${database.backend}): ${installed.length} packages`);
        signal.throwIfAborted();
        return claimsOf(tree.files, installed, path);
      }, options);
    },
  };
}

/**
 * Returns what a package database alone says about components, by component id in byte order.
 * Trusted keys are not among them.
 */
export function packageComponents(
  database: Rpmdb,
  log: Logger,
  options: DamageOptions = {},
): ReadonlyMap<string, ComponentFacts> {
  return withHint(() => {
    const components = new Map<string, ComponentFacts>();
    for (const [id, versions] of packagesByComponent(installedPackages(database, log, options))) {
      components.set(id, factsOf(versions));
    }
    return components;
  }, options);
}

/** Returns the packages without trusted keys and, if the options say so, without damaged ones. */
function installedPackages(
  database: Rpmdb,
  log: Logger,
  { skipDamagedPackages }: DamageOptions,
): readonly RpmPackage[] {
  const onWarning = (message: string) => log.warn(message);
  if (!skipDamagedPackages) {
    return [...database.packages({ onWarning })].filter(({ name }) => name !== KEY_PACKAGE);
  }
  const warn = (message: string) =>
    log.warn(`${message}; its files are planned as if no package owned them`);
  const packages = [...database.packages({ onError: ({ message }) => warn(message), onWarning })];
  return packages.filter((pkg) => {
    if (pkg.name === KEY_PACKAGE) {
      return false;
    }
    const damage = damageOf(pkg);
    if (damage !== undefined) {
      warn(damage.message);
    }
    return damage === undefined;
  });
}

/**
 * Returns the error of a broken entry among those that this source needs; undefined if all are
 * sound.
 */
function damageOf(pkg: RpmPackage): OstrataError | undefined {
  try {
    factsOf([pkg]);
    inPackage(pkg, () => [...pkg.files()]);
    return undefined;
  } catch (error) {
    if (!isDamage(error)) {
      throw error;
    }
    return error;
  }
}

/** Adds the name of the package to the error of a broken entry. */
function inPackage<T>({ nevra }: RpmPackage, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!isDamage(error)) {
      throw error;
    }
    throw new OstrataError(error.code, `package ${nevra}: ${error.message}`, { cause: error });
  }
}

/** Adds to the error of a damaged package how to plan without it. */
function withHint<T>(body: () => T, { skipDamagedPackages }: DamageOptions): T {
  try {
    return body();
  } catch (error) {
    if (skipDamagedPackages || !isDamage(error)) {
      throw error;
    }
    const hint = '--skip-damaged-packages plans without damaged packages';
    throw new OstrataError(error.code, `${error.message}; ${hint}`, { cause: error });
  }
}

function claimsOf(files: FileMap, packages: readonly RpmPackage[], database: string): Claims {
  const owners = new PathOwners();
  const components = new Map([[RPMDB_COMPONENT, RPMDB_FACTS]]);
  for (const [id, versions] of packagesByComponent(packages)) {
    components.set(id, factsOf(versions));
    for (const version of versions) {
      inPackage(version, () => {
        for (const { path } of locatedFiles(files, version.files())) {
          if (path !== undefined) {
            owners.add(path, id);
          }
        }
      });
    }
  }

  let shipped: ReadonlyMap<TreePath, ShippedFile> | undefined;
  const databaseDirectory = database.slice(0, database.lastIndexOf('/') + 1);
  return {
    components,
    strong({ path }) {
      const isDatabase = path.startsWith(databaseDirectory) || path.startsWith(BASE_DB);
      return isDatabase ? [RPMDB_COMPONENT] : owners.of(path);
    },
    shipped(path) {
      shipped ??= shippedFiles(files, packages);
      return shipped.get(path);
    },
    missing: () => missingFiles(files, packages),
  };
}

/** Returns what the packages shipped, by the path where it lies in the tree. */
function shippedFiles(
  files: FileMap,
  packages: readonly RpmPackage[],
): ReadonlyMap<TreePath, ShippedFile> {
  const shipped = new Map<TreePath, ShippedFile>();
  for (const pkg of packages) {
    for (const { path, file } of locatedFiles(files, pkg.files())) {
      if (path !== undefined) {
        shipped.set(path, shippedFile(file));
      }
    }
  }
  return shipped;
}

function* missingFiles(files: FileMap, packages: readonly RpmPackage[]): Generator<MissingFile> {
  for (const pkg of packages) {
    for (const { path, file } of locatedFiles(files, pkg.files())) {
      if (path === undefined) {
        yield { component: componentId(pkg), file: shippedFile(file) };
      }
    }
  }
}

function shippedFile({ mtime, size, digest, digestAlgorithm, linkTo }: RpmFile): ShippedFile {
  const sha256 = digestAlgorithm === 'sha256' ? digest : undefined;
  return { mtime, size, sha256, target: decodeUtf8(linkTo) };
}

function componentId({ name, arch = 'noarch' }: RpmPackage): string {
  return `${name}.${arch}`;
}

/** The installed versions of each component, by its id in byte order. There is at least one. */
function packagesByComponent(
  packages: Iterable<RpmPackage>,
): ReadonlyMap<string, readonly [RpmPackage, ...RpmPackage[]]> {
  const installed = new Map<string, [RpmPackage, ...RpmPackage[]]>();
  for (const each of packages) {
    const id = componentId(each);
    const versions = installed.get(id);
    if (versions === undefined) {
      installed.set(id, [each]);
    } else {
      versions.push(each);
    }
  }
  return new Map([...installed].sort(([a], [b]) => compareUtf8(a, b)));
}

function factsOf(versions: readonly [RpmPackage, ...RpmPackage[]]): ComponentFacts {
  const [first] = versions;
  const { name } = first;
  const sourceName = inPackage(first, () => first.sourceName);
  const packages = versions.map(packageFacts).sort((a, b) => compareUtf8(a.nevra, b.nevra));
  return { name, source: sourceName ?? name, packages };
}

function packageFacts(pkg: RpmPackage): PackageFacts {
  return inPackage(pkg, () => {
    const { name, nevra, size, buildTime, changelogTimes } = pkg;
    return { name, nevra, size, buildTime, changelogTimes };
  });
}
