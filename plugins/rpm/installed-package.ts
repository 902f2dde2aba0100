/** What is kept of a package in memory: its header is many times as large. */
import {
  type ComponentFacts,
  compareUtf8,
  OstrataError,
  type PackageFacts,
} from '../../src/plugin.js';
import { isDamage, type RpmPackage } from './rpmdb/index.js';

export interface InstalledPackage {
  /** The id of its component. */
  readonly component: string;
  readonly sourceName: string | undefined;
  readonly facts: PackageFacts;
}

/** Throws `CORRUPT` or `LIMIT`, naming the package, for a broken entry. */
export function installedPackage(pkg: RpmPackage): InstalledPackage {
  return inPackage(pkg, () => {
    const { name, arch = 'noarch', sourceName, nevra, size, buildTime, changelogTimes } = pkg;
    const facts = { name, nevra, size, buildTime, changelogTimes };
    return { component: `${name}.${arch}`, sourceName, facts };
  });
}

/** Adds the name of the package to the error of a broken entry. */
export function inPackage<T>({ nevra }: RpmPackage, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!isDamage(error)) {
      throw error;
    }
    throw new OstrataError(error.code, `package ${nevra}: ${error.message}`, { cause: error });
  }
}

/** Returns facts by component id in byte order. */
export function componentFacts(
  packages: readonly InstalledPackage[],
): ReadonlyMap<string, ComponentFacts> {
  const installed = new Map<string, [InstalledPackage, ...InstalledPackage[]]>();
  for (const each of packages) {
    const versions = installed.get(each.component);
    if (versions === undefined) {
      installed.set(each.component, [each]);
    } else {
      versions.push(each);
    }
  }
  const sorted = [...installed].sort(([a], [b]) => compareUtf8(a, b));
  return new Map(sorted.map(([id, versions]) => [id, factsOf(versions)]));
}

/** @param versions the installed versions of one component */
function factsOf(versions: readonly [InstalledPackage, ...InstalledPackage[]]): ComponentFacts {
  const [{ facts, sourceName }] = versions;
  const { name } = facts;
  const packages = versions.map((version) => version.facts);
  packages.sort((a, b) => compareUtf8(a.nevra, b.nevra));
  return { name, source: sourceName ?? name, packages };
}
