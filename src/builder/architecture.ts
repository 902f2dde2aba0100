import { OstrataError } from '../errors.js';
import type { PlatformChoice } from '../oci/platform.js';
import { type Commit, metadataValue } from '../ostree/objects/commit.js';
import type { PackageFacts } from '../plugin.js';

/** Machine names of rpm and the kernel that GOARCH (https://go.dev/doc/install/source#environment) spells otherwise. */
const GOARCH: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  x86_64_v2: 'amd64',
  x86_64_v3: 'amd64',
  x64: 'amd64',
  i386: '386',
  i686: '386',
  ia32: '386',
  aarch64: 'arm64',
  armv7hl: 'arm',
  powerpc64le: 'ppc64le',
  mips64el: 'mips64le',
  mipsel: 'mipsle',
  loong64: 'loong64',
  loongarch64: 'loong64',
};
/** Metadata key of ostree (OSTREE_COMMIT_META_KEY_ARCHITECTURE). */
const ARCHITECTURE_KEY = 'ostree.architecture';

const MACHINE = /^[a-z0-9_]{2,32}$/;

/** The GOARCH of a machine name; `USAGE` for what cannot be one. */
export function goArchitecture(machine: string): string {
  if (!MACHINE.test(machine)) throw new OstrataError('USAGE', `${JSON.stringify(machine)} is no architecture`);
  return (Object.hasOwn(GOARCH, machine) && GOARCH[machine]) || machine;
}

/** What an image has to be made for to run here. */
export function hostPlatform(): PlatformChoice {
  return { os: 'linux', architecture: goArchitecture(process.arch) };
}

/** What a commit is for: what it says itself, else what most of its packages are built for, else this machine's kind. */
export function commitArchitecture(commit: Commit, packages: Iterable<PackageFacts>): string {
  const declared = metadataValue(commit.metadata, ARCHITECTURE_KEY, 's');
  if (typeof declared === 'string') {
    if (!MACHINE.test(declared))
      throw new OstrataError('CORRUPT', `commit metadata ${ARCHITECTURE_KEY}: ${JSON.stringify(declared)} is none`);
    return goArchitecture(declared);
  }
  const counts = new Map<string, number>();
  for (const { nevra } of packages) {
    const machine = nevra.slice(nevra.lastIndexOf('.') + 1);
    // A package without architecture ends in its release.
    if (machine !== 'noarch' && MACHINE.test(machine)) counts.set(machine, (counts.get(machine) ?? 0) + 1);
  }
  const [most] = [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return goArchitecture(most?.[0] ?? process.arch);
}
