/** Calls the client's commands (`container unencapsulate`, `container image pull`) and ostree. */
import assert from 'node:assert/strict';
import { run, tryOstrata } from './run.js';

/** The last line that `--json` prints. */
export interface Pulled {
  readonly commit: string;
  readonly mergeCommit?: string;
  readonly manifestDigest: string;
  readonly layersFetched: number;
  readonly layersPresent: number;
  readonly bytesFetched: number;
}

const lines = (text: string) => text.trim().split('\n');

/** Runs a command with `--json`, which must succeed, and returns its result. */
export function pulled(args: readonly string[]): Pulled {
  const { status, stdout, stderr } = tryOstrata([...args, '--json']);
  assert.equal(status, 0, stderr);
  return JSON.parse(lines(stdout).at(-1) as string) as Pulled;
}

/** Runs `container unencapsulate --json`, which must succeed. */
export function unencapsulate(repo: string, imgref: string, ...args: readonly string[]): Pulled {
  return pulled(['container', 'unencapsulate', `--repo=${repo}`, ...args, imgref]);
}

/** Runs `container image pull --json`, which must succeed. */
export function pull(repo: string, imgref: string, ...args: readonly string[]): Pulled {
  return pulled(['container', 'image', 'pull', ...args, repo, imgref]);
}

/**
 * Asserts that a call fails with exactly one line on standard error, which matches `message`.
 * The line that reports the layers to fetch may precede it.
 */
export function refused(args: readonly string[], message: RegExp): void {
  const { status, stderr } = tryOstrata(args);
  assert.equal(status === 1 || status === 2, true, `exit code ${status}: ${stderr}`);
  assert.match(stderr, message);
  assert.equal(
    lines(stderr).filter((line) => !line.startsWith('layers already present: ')).length,
    1,
    stderr,
  );
}

/** The names of all refs in a repository, as ostree lists them. */
export function refs(repo: string): string[] {
  return lines(run('ostree', [`--repo=${repo}`, 'refs'])).filter(Boolean);
}

/** Asserts that ostree finds no damage in a repository. */
export function fsck(repo: string): void {
  run('ostree', [`--repo=${repo}`, 'fsck', '--quiet']);
}
