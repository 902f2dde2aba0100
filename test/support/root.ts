/** Finds the checkout from a compiled test, wherever that runs from. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function findRepoRoot(from: string): string {
  for (let dir = from; ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'package.json')) && existsSync(join(dir, 'rpmdb-fixtures'))) {
      return dir;
    }
    if (dir === dirname(dir)) {
      throw new Error(`no directory above ${from} holds package.json and rpmdb-fixtures`);
    }
  }
}

/**
 * The absolute path of the checkout, which holds the data that is not compiled (`rpmdb-fixtures`).
 */
export const repoRoot = findRepoRoot(import.meta.dirname);
