/**
 * The program that is one file, for every processor. It is made once for all test processes, and
 * again only after its sources have changed.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { locked } from './locked.js';
import { repoRoot } from './root.js';
import { run } from './run.js';

const PACKAGER = '.ci/package';
/** What decides the bytes of the programs, but for what the lock files name. */
const SOURCES = ['dist/src', 'dist/plugins', PACKAGER, 'package.json', 'package-lock.json'];
const FOLDER = join(repoRoot, 'dist/one-file');

/** Options of a test or suite that needs the programs. */
export function needsOneFile(): { skip: false | string } {
  return { skip: whatIsMissing() };
}

function whatIsMissing(): string | false {
  if (process.env.OSTRATA_TEST_TOOLS === 'none') {
    return 'needs two minutes';
  }
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    return 'needs Linux on x64 or arm64';
  }
  const isInstalled = existsSync(join(repoRoot, PACKAGER, 'node_modules'));
  assert.ok(isInstalled || process.env.CI !== 'true', 'in CI, .ci/package is installed');
  return !isInstalled && 'needs `node .ci/prepare.mjs --package`';
}

/** Makes the programs of `processors`, or of all, in a folder. */
export function makeOneFile(folder: string, ...processors: readonly string[]): void {
  const packager = join(repoRoot, PACKAGER, 'index.mjs');
  // The time of the last commit would change with each one.
  const env = { SOURCE_DATE_EPOCH: '1700000000' };
  run(process.execPath, [packager, `--output=${folder}`, ...processors], { env });
}

/** Returns the program for `processor` in a folder. */
export function oneFileFor(processor: string, folder: string): string {
  const name = readdirSync(folder).find((each) => each.endsWith(`-linux-${processor}`));
  assert.ok(name, `${folder} has no program for ${processor}`);
  return join(folder, name);
}

/** Returns the folder with what `npm run package` makes. No test may change it. */
export async function oneFileFolder(): Promise<string> {
  const keyFile = join(FOLDER, 'key');
  const key = sourcesKey();
  mkdirSync(join(repoRoot, 'dist'), { recursive: true });
  await locked(`${FOLDER}.lock`, () => {
    if (existsSync(keyFile) && readFileSync(keyFile, 'utf8') === key) {
      return;
    }
    rmSync(FOLDER, { recursive: true, force: true });
    makeOneFile(FOLDER);
    writeFileSync(keyFile, key);
  });
  return FOLDER;
}

/** Returns a digest of all that the programs are made from. */
function sourcesKey(): string {
  const hash = createHash('sha256');
  for (const name of SOURCES.flatMap(filesBelow)) {
    hash.update(name).update(readFileSync(join(repoRoot, name)));
  }
  return hash.digest('hex');
}

/** Returns a file of the checkout, or all files in a folder but installed packages, in order. */
function filesBelow(name: string): readonly string[] {
  const path = join(repoRoot, name);
  if (!statSync(path).isDirectory()) {
    return [name];
  }
  const inside = readdirSync(path).filter((each) => each !== 'node_modules');
  return inside.sort().flatMap((each) => filesBelow(join(name, each)));
}
