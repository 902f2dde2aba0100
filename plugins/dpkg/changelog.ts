/** Times of the entries in a package's changelog (deb-changelog(5)). */
import { gunzipSync } from 'node:zlib';
import type { Logger, Tree } from '../../src/plugin.js';

/** Bytes of an unpacked changelog: far more than any has. */
const MAX_CHANGELOG_SIZE = 1 << 25;
/** Files in the order in which they are looked for; native packages have the last ones. */
const NAMES = ['changelog.Debian.gz', 'changelog.Debian', 'changelog.gz', 'changelog'];
const TRAILER = /^ -- .*> {1,2}(.+)$/gm;

/** Returns seconds since 1970, newest first; empty if the tree has no such changelog. */
export async function changelogTimes(
  tree: Tree,
  packageName: string,
  log: Logger,
): Promise<readonly number[]> {
  for (const name of NAMES) {
    const path = `/usr/share/doc/${packageName}/${name}`;
    const entry = tree.files.resolve(path, true);
    if (entry?.type !== 'file' || entry.size > MAX_CHANGELOG_SIZE) {
      continue;
    }
    const bytes = await tree.bytes(entry.path);
    const times = timesOf(unpacked(bytes, path, log));
    if (times.length > 0) {
      return times;
    }
  }
  return [];
}

function unpacked(bytes: Uint8Array, path: string, log: Logger): string {
  if (!path.endsWith('.gz')) {
    return Buffer.from(bytes).toString();
  }
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_CHANGELOG_SIZE }).toString();
  } catch {
    log.warn(`${path} is damaged or larger than ${MAX_CHANGELOG_SIZE} bytes: it is not read`);
    return '';
  }
}

function timesOf(changelog: string): readonly number[] {
  const times = [...changelog.matchAll(TRAILER)].map(([, date = '']) => Date.parse(date) / 1000);
  return times.filter((time) => time > 0).sort((a, b) => b - a);
}
