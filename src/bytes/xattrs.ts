/** The one form in which tar entries, ostree objects and trees hold extended attributes. */

/**
 * Extended attributes by name. A name has no NUL, a value is raw bytes; iteration is in the order
 * of the names' bytes.
 */
export type Xattrs = ReadonlyMap<string, Uint8Array>;

/** The extended attribute that holds the SELinux label of a file, followed by a NUL. */
export const SELINUX_XATTR = 'security.selinux';

/** Whether `name` is one of `patterns`, of which one that ends in a dot is a prefix. */
export function matchesXattr(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const isPrefix = pattern.endsWith('.');
    return isPrefix ? name.startsWith(pattern) : name === pattern;
  });
}
