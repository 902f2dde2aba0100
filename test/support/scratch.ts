import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made: string[] = [];
process.on('exit', () => {
  for (const path of made) {
    rmSync(path, { recursive: true, force: true });
  }
});

/** A new empty directory, removed with all that is in it when the process ends. */
export function scratchDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'ostrata-test-'));
  made.push(path);
  return path;
}
