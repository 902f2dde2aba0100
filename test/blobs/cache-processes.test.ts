/** Several processes share one cache, and some are killed: its entries are always intact. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BlobCache } from '../../src/blobs/cache.js';
import { silentLogger } from '../../src/log.js';
import { fileDigest } from '../../src/system/file-chunks.js';
import { scratchDirectory } from '../support/scratch.js';

const writer = fileURLToPath(new URL('../support/cache-writer.js', import.meta.url));
const KEYS = 6;
const MAX_BYTES = 3_500_000;

function start(cache: string, rounds: number) {
  return spawn(
    process.execPath,
    [writer, cache, scratchDirectory(), String(KEYS), String(MAX_BYTES), String(rounds)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
}

/** Restores every blob, as the next build would, and returns how many there were. */
function restoreAll(directory: string): number {
  const warnings: string[] = [];
  const cache = new BlobCache(directory, MAX_BYTES, {
    ...silentLogger,
    warn: (message) => warnings.push(message),
  });
  let restored = 0;
  for (const key of readdirSync(directory).filter((name) => !name.startsWith('.'))) {
    const target = join(scratchDirectory(), 'blob');
    const blob = cache.restore(key, target);
    assert.ok(blob, `${key} is intact`);
    assert.equal(
      `sha256:${createHash('sha256').update(readFileSync(target)).digest('hex')}`,
      blob.digest,
    );
    restored++;
  }
  assert.deepEqual(warnings, []);
  cache.trim();
  return restored;
}

test('processes add, restore and trim at the same time', async () => {
  const directory = scratchDirectory();
  const codes = await Promise.all(
    [0, 1, 2].map(async () => {
      const child = start(directory, 40);
      child.stdout.resume();
      return (await once(child, 'exit'))[0];
    }),
  );
  assert.deepEqual(codes, [0, 0, 0]);
  const restored = restoreAll(directory);
  assert.ok(
    restored > 0 && restored <= Math.floor(MAX_BYTES / 1_000_000),
    `${restored} blobs of 1 MB after the last trim`,
  );
});

test('a process that is killed leaves no damaged entry, and the next one cleans up', async () => {
  const directory = scratchDirectory();
  for (let kill = 0; kill < 8; kill++) {
    const child = start(directory, Number.MAX_SAFE_INTEGER);
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, kill * 7));
    child.kill('SIGKILL');
    await once(child, 'exit');
    restoreAll(directory);
  }
  const file = join(scratchDirectory(), 'file');
  writeFileSync(file, '');
  const digest = fileDigest(file);
  const blob = { diffId: digest, digest, size: 0, tarSize: 0 };
  new BlobCache(directory, 0, silentLogger).add('next', file, blob);
  const isLocked = (name: string) => existsSync(join(directory, name, '.ostrata-lock'));
  assert.deepEqual(readdirSync(directory).filter(isLocked), []);
  rmSync(directory, { recursive: true });
});
