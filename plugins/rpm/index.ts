/**
 * Content source `rpm`: files belong to the packages of the tree's RPM database; component ids are
 * `name.arch`.
 */
import {
  type Claims,
  type ComponentFacts,
  type ContentSource,
  type Logger,
  OstrataError,
} from '../../src/plugin.js';
import { InstalledFiles } from './installed-files.js';
import {
  componentFacts,
  type InstalledPackage,
  inPackage,
  installedPackage,
} from './installed-package.js';
import { findRpmdb, isDamage, openTreeRpmdb, type Rpmdb, type RpmPackage } from './rpmdb/index.js';

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
        const installed: InstalledPackage[] = [];
        const files = new InstalledFiles(tree.files);
        for (const pkg of installedPackages(database, log, options)) {
          signal.throwIfAborted();
          const facts = installedPackage(pkg);
          inPackage(pkg, () => files.add(facts.component, pkg.files()));
          installed.push(facts);
        }
        log.info(`rpmdb ${path} (${database.backend}): ${installed.length} packages`);
        return claimsOf(installed, files, path);
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
    const installed = Array.from(installedPackages(database, log, options), installedPackage);
    return componentFacts(installed);
  }, options);
}

/** Yields the packages without trusted keys and, if the options say so, without damaged ones. */
function* installedPackages(
  database: Rpmdb,
  log: Logger,
  { skipDamagedPackages }: DamageOptions,
): Generator<RpmPackage> {
  const warn = (message: string) =>
    log.warn(`${message}; its files are planned as if no package owned them`);
  const packages = database.packages({
    onError: skipDamagedPackages ? ({ message }) => warn(message) : undefined,
    onWarning: (message) => log.warn(message),
  });
  for (const pkg of packages) {
    if (pkg.name === KEY_PACKAGE) {
      continue;
    }
    const damage = skipDamagedPackages ? damageOf(pkg) : undefined;
    if (damage === undefined) {
      yield pkg;
    } else {
      warn(damage.message);
    }
  }
}

/**
 * Returns the error of a broken entry among those that this source needs; undefined if all are
 * sound.
 */
function damageOf(pkg: RpmPackage): OstrataError | undefined {
  try {
    installedPackage(pkg);
    inPackage(pkg, () => [...pkg.files()]);
    return undefined;
  } catch (error) {
    if (!isDamage(error)) {
      throw error;
    }
    return error;
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

function claimsOf(
  packages: readonly InstalledPackage[],
  files: InstalledFiles,
  database: string,
): Claims {
  const databaseDirectory = database.slice(0, database.lastIndexOf('/') + 1);
  const owners = files.owners();
  return {
    components: new Map([[RPMDB_COMPONENT, RPMDB_FACTS], ...componentFacts(packages)]),
    strong({ path }) {
      const isDatabase = path.startsWith(databaseDirectory) || path.startsWith(BASE_DB);
      return isDatabase ? [RPMDB_COMPONENT] : owners.of(path);
    },
    shipped: (path) => files.shipped.get(path),
    missing: () => files.missing,
  };
}
