/** SELinux labels, which an ostree commit holds and a plain image does not. */
import { SELINUX_XATTR, type Xattrs } from '../bytes/xattrs.js';
import { inContextAsync, isNotFound, OstrataError } from '../errors.js';
import type { Logger } from '../log.js';
import type { ReadTreeFile, SelinuxPolicy } from '../selinux/policy.js';
import type { LookupTree } from './lookup.js';
import type { TreePath } from './tree.js';

/**
 * Who labels files: the policy of their tree if it has one (`auto`), nobody (`none`), or the
 * policy, without which the tree is refused (`require`).
 */
export const SELINUX_RULES = ['auto', 'none', 'require'] as const;
export type SelinuxRule = (typeof SELINUX_RULES)[number];

/**
 * Returns the label of what is at `path`; undefined leaves the one that it has.
 * @param mode `st_mode` with its type bits
 */
export type LabelOf = (path: TreePath, mode: number) => string | undefined;

/** Reads the policy of a tree; undefined leaves all labels as they are. */
export type LabelSource = (tree: LookupTree) => Promise<LabelOf | undefined>;

/** Returns the labels of the policy that a tree has. */
export function policyLabels(rule: SelinuxRule, log: Logger): LabelSource {
  return async (tree) => {
    const policy = rule === 'none' ? undefined : await policyOf(tree, rule, log);
    log.info(
      policy === undefined
        ? `${tree.name}: files keep the SELinux labels that they have`
        : `${tree.name}: files get the SELinux labels of the policy ${policy.name}`,
    );
    return policy?.labelOf;
  };
}

/**
 * Throws what {@link loadSelinuxPolicy} throws, and with `require` `UNSUPPORTED` without a policy.
 */
async function policyOf(
  tree: LookupTree,
  rule: SelinuxRule,
  log: Logger,
): Promise<SelinuxPolicy | undefined> {
  const read: ReadTreeFile = (path) => fileAt(tree, path);
  const { loadSelinuxPolicy } = await import('../selinux/policy.js');
  const load = () => loadSelinuxPolicy(read);
  const policy = await inContextAsync(tree.name, load).catch((error) => {
    if (rule === 'require' || !isNotFound(error)) {
      throw error;
    }
    log.warn(`${error.message}; files keep the SELinux labels that they have`);
    return undefined;
  });
  if (policy === undefined && rule === 'require') {
    throw new OstrataError(
      'UNSUPPORTED',
      `${tree.name} has no SELinux policy: SELINUX in /etc/selinux/config has to be enforcing or ` +
        'permissive; --selinux=none keeps the labels that files have',
    );
  }
  return policy;
}

/** Returns the content of a regular file; undefined if there is none. */
async function fileAt(tree: LookupTree, path: string): Promise<Uint8Array | undefined> {
  const entry = tree.files.resolve(path, true);
  return entry?.type === 'file' ? tree.bytes(entry.path) : undefined;
}

/** Returns `xattrs` with this label instead of any other; undefined leaves them as they are. */
export function withLabel(xattrs: Xattrs, label: string | undefined): Xattrs {
  if (label === undefined) {
    return xattrs;
  }
  const labeled = new Map(xattrs);
  return labeled.set(SELINUX_XATTR, labelBytes(label));
}

/** Returns `xattrs` without a label. */
export function withoutLabel(xattrs: Xattrs): Xattrs {
  return xattrs.has(SELINUX_XATTR)
    ? new Map([...xattrs].filter(([name]) => name !== SELINUX_XATTR))
    : xattrs;
}

/** Whether {@link withLabel} changes nothing. */
export function hasLabel(xattrs: Xattrs, label: string | undefined): boolean {
  if (label === undefined) {
    return true;
  }
  const present = xattrs.get(SELINUX_XATTR);
  return present !== undefined && labelBytes(label).equals(present);
}

/** In a file system, a label ends in a NUL. */
function labelBytes(label: string): Buffer {
  return Buffer.from(`${label}\0`);
}
