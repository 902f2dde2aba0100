/**
 * Content source `rpm`: files belong to the packages of the tree's RPM database; component ids are
 * `name.arch`.
 */
import {
  type Claims,
  type ComponentFacts,
  type ContentSource,
  compareUtf8,
  type FileMap,
  type PackageFacts,
} from '../../src/plugin.js';
import { FileOwners } from './owners.js';
import { findRpmdb, openTreeRpmdb, type RpmPackage } from './rpmdb/index.js';

/** The database lists trusted keys like packages; they own no files. */
const KEY_PACKAGE = 'gpg-pubkey';
const RPMDB_COMPONENT = 'rpmdb';
const RPMDB_FACTS: ComponentFacts = {
  name: RPMDB_COMPONENT,
  source: RPMDB_COMPONENT,
  packages: [],
  updateInterval: 0,
};
/** rpm-ostree's second copy of the database changes with the first. */
const BASE_DB = '/usr/lib/sysimage/rpm-ostree-base-db/';

export const rpm: ContentSource = {
  name: 'rpm',
  priority: 20,
  detect: (files) => findRpmdb(files) !== undefined,
  async load({ tree, log, signal }) {
    const { location, backend, packages } = await openTreeRpmdb(tree);
    const installed = [...packages()].filter(({ name }) => name !== KEY_PACKAGE);
    log.info(`rpmdb ${location.database} (${backend}): ${installed.length} packages`);
    signal.throwIfAborted();
    return claimsOf(tree.files, installed, location.database);
  },
};

/**
 * Returns what a package database alone says about components, by component id in byte order.
 * Trusted keys are not among them.
 */
export function packageComponents(
  packages: Iterable<RpmPackage>,
): ReadonlyMap<string, ComponentFacts> {
  const components = new Map<string, ComponentFacts>();
  for (const [id, versions] of packagesByComponent(packages)) {
    components.set(id, factsOf(versions));
  }
  return components;
}

function claimsOf(files: FileMap, packages: readonly RpmPackage[], database: string): Claims {
  const owners = new FileOwners(files);
  const components = new Map([[RPMDB_COMPONENT, RPMDB_FACTS]]);
  for (const [id, versions] of packagesByComponent(packages)) {
    components.set(id, factsOf(versions));
    for (const version of versions) {
      owners.add(id, version.files());
    }
  }

  const databaseDirectory = database.slice(0, database.lastIndexOf('/') + 1);
  return {
    components,
    strong({ path }) {
      const isDatabase = path.startsWith(databaseDirectory) || path.startsWith(BASE_DB);
      return isDatabase ? [RPMDB_COMPONENT] : owners.of(path);
    },
  };
}

/** The installed versions of each component, by its id in byte order. There is at least one. */
function packagesByComponent(
  packages: Iterable<RpmPackage>,
): ReadonlyMap<string, readonly [RpmPackage, ...RpmPackage[]]> {
  const installed = new Map<string, [RpmPackage, ...RpmPackage[]]>();
  for (const each of packages) {
    if (each.name === KEY_PACKAGE) {
      continue;
    }
    const id = `${each.name}.${each.arch ?? 'noarch'}`;
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
  const [{ name, sourceName }] = versions;
  const packages = versions.map(packageFacts).sort((a, b) => compareUtf8(a.nevra, b.nevra));
  return { name, source: sourceName ?? name, packages };
}

function packageFacts({ name, nevra, size, buildTime, changelogTimes }: RpmPackage): PackageFacts {
  return { name, nevra, size, buildTime, changelogTimes };
}
