/** Loads content sources on small trees, and on such trees with a damaged package database. */
import assert from 'node:assert/strict';
import { OstrataError } from '../../src/errors.js';
import type { Claims, ContentSource, FileEntry, TreePath } from '../../src/plugin.js';
import { buildTree, type EntrySpec } from './build-tree.js';
import { damaged, pick, randomNumbers } from './random-damage.js';

export type Specs = Readonly<Record<TreePath, EntrySpec>>;

export interface LoadedSource {
  readonly claims: Claims;
  /** Returns the component that certainly owns what lies at `path`, if any does. */
  readonly owner: (path: TreePath) => string | undefined;
  readonly warnings: readonly string[];
}

/** Loads a source, which must detect that it can claim something. */
export async function loadSource(source: ContentSource, specs: Specs): Promise<LoadedSource> {
  const tree = buildTree(specs);
  const warnings: string[] = [];
  const log = {
    warn: (message: string) => warnings.push(message),
    info() {},
    progress() {},
  };
  assert.ok(source.detect(tree.files));
  const { signal } = new AbortController();
  const claims = await source.load({ tree, log, signal });
  const owner = (path: TreePath) => {
    const entry = tree.files.get(path) as FileEntry;
    return claims.strong(entry)[0];
  };
  return { claims, owner, warnings };
}

const ROUNDS = 300;
/** The slowest round takes some 10 ms. */
const MAX_MILLISECONDS = 5000;
/** Memory of the whole process. */
const MAX_RSS = 512 << 20;

/**
 * Damages the files at `paths` at random, one in each round. The source must give claims or an error
 * with a code, within bounds of time and memory; both must occur.
 */
export async function assertSurvivesDamage(
  source: ContentSource,
  specs: Specs,
  paths: readonly TreePath[],
): Promise<void> {
  let errorCount = 0;
  for (let seed = 0; seed < ROUNDS; seed++) {
    const start = performance.now();
    const random = randomNumbers(seed);
    const path = pick(paths, random);
    const bytes = Buffer.from(specs[path] as string);
    try {
      const { claims } = await loadSource(source, { ...specs, [path]: damaged(bytes, random) });
      assert.ok([...(claims.missing?.() ?? [])].every(({ component }) => component !== ''));
    } catch (error) {
      const isExpected = error instanceof OstrataError && error.code === 'CORRUPT';
      assert.ok(isExpected, `seed ${seed}: ${error}`);
      errorCount++;
    }
    const milliseconds = performance.now() - start;
    assert.ok(milliseconds < MAX_MILLISECONDS, `seed ${seed}: ${milliseconds} ms`);
  }
  const memory = process.memoryUsage.rss();
  assert.ok(memory < MAX_RSS, `${memory} bytes of memory`);
  assert.ok(errorCount > 10 && errorCount < ROUNDS - 10, `${errorCount} errors`);
}
