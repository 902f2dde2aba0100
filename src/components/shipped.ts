/** Whether files are as their packages shipped them, by the digests that databases record. */
import { createHash } from 'node:crypto';
import type { ShippedFile } from '../plugin.js';
import type { ContentEntry, RegularFile, Tree } from '../tree/tree.js';

/** Digests that package databases record, the first one that is known is compared. */
export const DIGEST_ALGORITHMS = ['sha256', 'sha1', 'md5'] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

/** Whether the content of `entry` is what `shipped` records; false if that says too little. */
export async function isAsShipped(
  tree: Tree,
  entry: ContentEntry,
  shipped: ShippedFile,
): Promise<boolean> {
  if (entry.type === 'symlink') {
    return entry.target === shipped.target;
  }
  if (shipped.size !== undefined && shipped.size !== entry.size) {
    return false;
  }
  const algorithm = DIGEST_ALGORITHMS.find((each) => shipped[each] !== undefined);
  if (algorithm === undefined) {
    return false;
  }
  const digest = await contentDigest(tree, entry, algorithm);
  return digest === shipped[algorithm];
}

/** Returns a digest of the content in hex. Reads the content, unless the digest is known. */
export async function contentDigest(
  tree: Tree,
  { path, contentDigest: known }: RegularFile,
  algorithm: DigestAlgorithm,
): Promise<string> {
  if (algorithm === 'sha256' && known !== undefined) {
    return known;
  }
  const hash = createHash(algorithm);
  for await (const chunk of tree.read(path)) {
    hash.update(chunk);
  }
  return hash.digest('hex');
}
