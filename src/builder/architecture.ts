import { OstrataError } from '../errors.js';
import { goArchitecture, isMachineName } from '../oci/platform.js';
import { type Commit, metadataValue } from '../ostree/objects/commit.js';
import type { PackageFacts } from '../plugin.js';

/** Metadata key of ostree (OSTREE_COMMIT_META_KEY_ARCHITECTURE). */
const ARCHITECTURE_KEY = 'ostree.architecture';

/** What a commit is for: what it says itself, else what most of its packages are built for, else this machine's kind. */
export function commitArchitecture(commit: Commit, packages: Iterable<PackageFacts>): string {
  const declared = metadataValue(commit.metadata, ARCHITECTURE_KEY, 's');
  if (typeof declared === 'string') {
    if (!isMachineName(declared)) {
      throw new OstrataError(
        'CORRUPT',
        `commit metadata ${ARCHITECTURE_KEY}: ${JSON.stringify(declared)} is none`,
      );
    }
    return goArchitecture(declared);
  }
  const counts = new Map<string, number>();
  for (const { nevra } of packages) {
    const machine = nevra.slice(nevra.lastIndexOf('.') + 1);
    // A package without architecture ends in its release.
    if (machine !== 'noarch' && isMachineName(machine)) {
      counts.set(machine, (counts.get(machine) ?? 0) + 1);
    }
  }
  const [most] = [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return goArchitecture(most?.[0] ?? process.arch);
}
