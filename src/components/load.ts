import { compareUtf8 } from '../bytes/text.js';
import { inContextAsync } from '../errors.js';
import type { Claims, ContentSource, Logger, Tree } from '../plugin.js';

/** Asks every source that has something to say of `tree` for its claims; those of the lowest priority number come first. */
export async function loadClaims(
  tree: Tree,
  sources: readonly ContentSource[],
  { log, signal }: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<readonly Claims[]> {
  const claims: Claims[] = [];
  for (const source of sources.toSorted(
    (a, b) => a.priority - b.priority || compareUtf8(a.name, b.name),
  )) {
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
  return claims;
}
