/** What `rpm-ostree --version` prints. */

/** The release of rpm-ostree whose command line rpm-ostree.ts takes. */
const RPM_OSTREE_VERSION = '2026.2';

/**
 * Returns YAML with the key `rpm-ostree`. osbuild reads the version in it, to know which commands
 * there are.
 * @param version of this program
 */
export function rpmOstreeVersion(version: string): string {
  return `rpm-ostree:\n Version: '${RPM_OSTREE_VERSION}'\n Provider: 'ostrata ${version}'`;
}
