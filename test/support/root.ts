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

/** The checkout: where data that is not compiled lies (`rpmdb-fixtures`), wherever the compiled test runs from. */
export const repoRoot = findRepoRoot(import.meta.dirname);
