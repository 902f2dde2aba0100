/** Finds the architecture of an image for which the user named none. */
import { OstrataError } from '../errors.js';
import { goArchitecture, hostPlatform, isMachineName } from '../oci/platform.js';
import { type Commit, metadataValue } from '../ostree/objects/commit.js';
import type { PackageFacts } from '../plugin.js';

/** OSTREE_COMMIT_META_KEY_ARCHITECTURE of ostree-core.h. */
const ARCHITECTURE_KEY = 'ostree.architecture';

/**
 * Returns the GOARCH that the commit's metadata declares, else that of most of its packages, else
 * that of this machine. Throws `CORRUPT` if the declared one is not a machine name.
 */
export function commitArchitecture(commit: Commit, packages: Iterable<PackageFacts>): string {
  const declared = metadataValue(commit.metadata, ARCHITECTURE_KEY, 's');
  if (typeof declared !== 'string') {
    return mostFrequentArchitecture(packages);
  }
  if (!isMachineName(declared)) {
    throw new OstrataError(
      'CORRUPT',
      `commit metadata ${ARCHITECTURE_KEY}: ${JSON.stringify(declared)} is not an architecture`,
    );
  }
  return goArchitecture(declared);
}

/** Returns the GOARCH of most packages, else that of this machine. */
export function mostFrequentArchitecture(packages: Iterable<PackageFacts>): string {
  const machine = mostFrequentMachine(packages);
  return machine === undefined ? hostPlatform().architecture : goArchitecture(machine);
}

/** If several machines are equally frequent, the first by name is returned. */
function mostFrequentMachine(packages: Iterable<PackageFacts>): string | undefined {
  const counts = new Map<string, number>();
  for (const { nevra } of packages) {
    const machine = nevra.slice(nevra.lastIndexOf('.') + 1);
    // The NEVRA of a package without architecture ends in its release, which is not a machine name.
    if (machine !== 'noarch' && isMachineName(machine)) {
      counts.set(machine, (counts.get(machine) ?? 0) + 1);
    }
  }
  let best: string | undefined;
  let bestCount = 0;
  for (const name of [...counts.keys()].sort()) {
    const count = counts.get(name) ?? 0;
    if (count > bestCount) {
      best = name;
      bestCount = count;
    }
  }
  return best;
}
