/** Asks content sources what they know of a tree. */
import { compareUtf8 } from '../bytes/text.js';
import { inContextAsync } from '../errors.js';
import type { Context } from '../log.js';
import type { Claims, ContentSource, Tree } from '../plugin.js';
import { movedFileClaims } from './moved-files.js';

/**
 * Returns the claims of every source that detects something in `tree`, by ascending priority
 * number. Files that were moved since they were installed are claimed right after the last source
 * that knows what packages shipped, so that sources which only guess do not get them.
 */
export async function loadClaims(
  tree: Tree,
  sources: readonly ContentSource[],
  { log, signal }: Context,
): Promise<readonly Claims[]> {
  const byPriority = sources.toSorted(
    (a, b) => a.priority - b.priority || compareUtf8(a.name, b.name),
  );

  const claims: Claims[] = [];
  for (const source of byPriority) {
    if (!source.detect(tree.files)) {
      continue;
    }
    const loaded = await inContextAsync(`content source ${source.name}`, async () => {
      signal.throwIfAborted();
      return source.load({ tree, log, signal });
    });
    log.info(`content source ${source.name}: ${loaded.components.size} components`);
    claims.push(loaded);
  }

  const end = 1 + claims.findLastIndex(({ missing }) => missing !== undefined);
  if (end > 0) {
    const ofPackages = claims.slice(0, end);
    claims.splice(end, 0, await movedFileClaims(tree, ofPackages, { log, signal }));
  }
  return claims;
}
