/**
 * Content source `rpm`: files belong to the packages of the tree's RPM database; component ids are
 * `name.arch`.
 */
import { setImmediate } from 'node:timers/promises';
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

/** Packages that are read before signals are let in: all of them can take a second. */
const PACKAGES_AT_ONCE = 50;

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
      const installed: InstalledPackage[] = [];
      const files = new InstalledFiles(tree.files);
      try {
        for (const pkg of installedPackages(database, log, options)) {
          if (installed.length % PACKAGES_AT_ONCE === 0) {
            await setImmediate();
          }
          signal.throwIfAborted();
          const facts = installedPackage(pkg);
          inPackage(pkg, () => files.add(facts.component, pkg.files()));
          installed.push(facts);
        }
      } catch (error) {
        throw withHint(error, options);
      }
      log.info(`rpmdb ${path} (${database.backend}): ${installed.length} packages`);
      return claimsOf(installed, files, path);
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
  try {
    const installed = Array.from(installedPackages(database, log, options), installedPackage);
    return componentFacts(installed);
  } catch (error) {
    throw withHint(error, options);
  }
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

/** Adds to the error of a damaged package how to plan without it; returns others as they are. */
function withHint(error: unknown, { skipDamagedPackages }: DamageOptions): unknown {
  if (skipDamagedPackages || !isDamage(error)) {
    return error;
  }
  const hint = '--skip-damaged-packages plans without damaged packages';
  return new OstrataError(error.code, `${error.message}; ${hint}`, { cause: error });
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
