/** SELinux labels, which an ostree commit holds and a plain image does not. */
import type { Xattrs } from '../bytes/xattrs.js';
import type { LookupTree } from './lookup.js';
import type { TreePath } from './tree.js';

export const SELINUX_XATTR = 'security.selinux';

/**
 * Returns the label of what is at `path`; undefined leaves the one that it has.
 * @param mode `st_mode` with its type bits
 */
export type LabelOf = (path: TreePath, mode: number) => string | undefined;

/** Reads the policy of a tree; undefined leaves all labels as they are. */
export type LabelSource = (tree: LookupTree) => Promise<LabelOf | undefined>;

/** Returns `xattrs` with this label instead of any other; undefined leaves them as they are. */
export function withLabel(xattrs: Xattrs, label: string | undefined): Xattrs {
  return label === undefined ? xattrs : new Map([...xattrs, [SELINUX_XATTR, labelBytes(label)]]);
}

/** Whether {@link withLabel} changes nothing. */
export function hasLabel(xattrs: Xattrs, label: string | undefined): boolean {
  const present = xattrs.get(SELINUX_XATTR);
  return label === undefined || (present !== undefined && labelBytes(label).equals(present));
}

/** In a file system, a label ends in a NUL. */
function labelBytes(label: string): Buffer {
  return Buffer.from(`${label}\0`);
}
