/** Finds the SELinux policy by which the files of layers are labeled: that of the whole system. */
import { collect } from '../../bytes/stream.js';
import { OstrataError } from '../../errors.js';
import type { MutableTree } from '../../ostree/write/mutable-tree.js';
import type { StagedContent } from '../../ostree/write/staged-content.js';
import type { SelinuxPolicy } from '../../selinux/policy.js';

/** Stands for the policy by which files without labels are labeled. */
export const NO_POLICY_ID = 'none';
/** Bytes. The file contexts of a policy take a few hundred kB. */
const MAX_POLICY_FILE = 8 << 20;
const CONFIG = 'usr/etc/selinux/config';

/** What labels files by path; the labels of a system without a policy: there are none. */
export type LabelingPolicy = Pick<SelinuxPolicy, 'id' | 'labelOf'>;

const NO_POLICY: LabelingPolicy = { id: NO_POLICY_ID, labelOf: () => undefined };

/** Whether a system has the configuration of a policy, which may say that SELinux is disabled. */
export function hasPolicy(root: MutableTree): boolean {
  return root.lookup(CONFIG) !== undefined;
}

/**
 * Returns the policy of the system at `root`, or one that gives no labels if it has none. Throws
 * `CORRUPT`, `UNSUPPORTED` or `LIMIT` if its policy cannot be read.
 */
export async function policyOf(root: MutableTree, content: StagedContent): Promise<LabelingPolicy> {
  const { loadSelinuxPolicy } = await import('../../selinux/policy.js');
  const policy = await loadSelinuxPolicy((path) => readFile(root, content, path.slice(1)));
  return policy ?? NO_POLICY;
}

async function readFile(
  root: MutableTree,
  content: StagedContent,
  path: string,
): Promise<Uint8Array | undefined> {
  const checksum = root.lookup(path);
  const info = checksum === undefined ? undefined : content.info(checksum);
  if (checksum === undefined || info?.type !== 'file') {
    return undefined;
  }
  if (info.size > MAX_POLICY_FILE) {
    const sizes = `of ${info.size} bytes, at most ${MAX_POLICY_FILE}`;
    throw new OstrataError('LIMIT', `SELinux policy file /${path} ${sizes}`);
  }
  return collect(content.read(checksum, info), info.size);
}
