/** Temporary directories of a test process: the one way to get one in tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made: string[] = [];
process.on('exit', () => {
  for (const path of made) {
    rmSync(path, { recursive: true, force: true });
  }
});

/** Makes a new empty directory, which is removed with its contents when the process ends. */
export function scratchDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'ostrata-test-'));
  made.push(path);
  return path;
}
