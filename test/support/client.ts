/** Calls of the client's commands for tests. */
import assert from 'node:assert/strict';
import { run, tryOstrata } from './run.js';

/** The last line of `--json`. */
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

export function unencapsulate(repo: string, imgref: string, ...args: readonly string[]): Pulled {
  return pulled(['container', 'unencapsulate', `--repo=${repo}`, ...args, imgref]);
}

export function pull(repo: string, imgref: string, ...args: readonly string[]): Pulled {
  return pulled(['container', 'image', 'pull', ...args, repo, imgref]);
}

/** The call must fail with one line that matches, after the one that tells what is needed. */
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

export function refs(repo: string): string[] {
  return lines(run('ostree', [`--repo=${repo}`, 'refs'])).filter(Boolean);
}

export function fsck(repo: string): void {
  run('ostree', [`--repo=${repo}`, 'fsck', '--quiet']);
}
