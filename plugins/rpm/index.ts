/** Content source `rpm`: files belong to the packages of the tree's RPM database; component ids are `name.arch`. */

import { compareUtf8 } from '../../src/bytes/text.js';
import type {
  Claims,
  ComponentFacts,
  ContentSource,
  PackageFacts,
  Tree,
} from '../../src/plugin.js';
import { FileOwners } from './owners.js';
import { findRpmdb, openTreeRpmdb, type RpmdbLocation, type RpmPackage } from './rpmdb/index.js';

/** Trusted keys are entries of the database like packages; they hold no files. */
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
  load: async ({ tree, log, signal }) => {
    const database = await openTreeRpmdb(tree);
    const packages = [...database.packages()].filter(({ name }) => name !== KEY_PACKAGE);
    log.info(
      `rpmdb ${database.location.database} (${database.backend}): ${packages.length} packages`,
    );
    signal.throwIfAborted();
    return claimsOf(tree, packages, database.location);
  },
};

const idOf = ({ name, arch }: RpmPackage) => `${name}.${arch ?? 'noarch'}`;

/** The packages of each component, by its id, in byte order. Trusted keys are no component. */
function componentPackages(
  packages: Iterable<RpmPackage>,
): ReadonlyMap<string, readonly RpmPackage[]> {
  const installed = new Map<string, RpmPackage[]>();
  for (const each of packages) {
    if (each.name !== KEY_PACKAGE) {
      installed.set(idOf(each), [...(installed.get(idOf(each)) ?? []), each]);
    }
  }
  return new Map([...installed].sort(([a], [b]) => compareUtf8(a, b)));
}

/** What a package database says of components, without a tree. */
export function packageComponents(
  packages: Iterable<RpmPackage>,
): ReadonlyMap<string, ComponentFacts> {
  return new Map([...componentPackages(packages)].map(([id, versions]) => [id, factsOf(versions)]));
}

function factsOf(versions: readonly RpmPackage[]): ComponentFacts {
  const { name, sourceName } = versions[0] as RpmPackage;
  const facts = versions.map(packageFacts).sort((a, b) => compareUtf8(a.nevra, b.nevra));
  return { name, source: sourceName ?? name, packages: facts };
}

function claimsOf(
  tree: Tree,
  packages: readonly RpmPackage[],
  { database }: RpmdbLocation,
): Claims {
  const owners = new FileOwners(tree.files);
  const components = new Map<string, ComponentFacts>([[RPMDB_COMPONENT, RPMDB_FACTS]]);
  for (const [id, versions] of componentPackages(packages)) {
    components.set(id, factsOf(versions));
    for (const version of versions) {
      owners.add(id, version.files());
    }
  }
  const databaseDirectory = database.slice(0, database.lastIndexOf('/') + 1);
  return {
    components,
    strong: ({ path }) =>
      path.startsWith(databaseDirectory) || path.startsWith(BASE_DB)
        ? [RPMDB_COMPONENT]
        : owners.of(path),
  };
}

function packageFacts({ name, nevra, size, buildTime, changelogTimes }: RpmPackage): PackageFacts {
  return { name, nevra, size, ...(buildTime !== undefined && { buildTime }), changelogTimes };
}
