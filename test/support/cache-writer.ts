// node cache-writer.js CACHE SCRATCH KEYS MAX_BYTES ROUNDS: takes blobs of 1 MB from a cache, adds those that are missing, trims; a
// line each round. Exit code 1 where a blob is not what it should be.
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlobCache } from '../../src/blobs/cache.js';
import { silentLogger } from '../../src/log.js';

const [directory = '', scratch = '', ...numbers] = process.argv.slice(2);
const [keys = 1, maxBytes = 1, rounds = 1] = numbers.map(Number);
const cache = new BlobCache(directory, maxBytes, {
  ...silentLogger,
  warn: (message) => {
    console.error(message);
    process.exitCode = 1;
  },
});
for (let round = 0; round < rounds; round++) {
  const key = `key-${(round * process.pid) % keys}`;
  const target = join(scratch, 'blob');
  const content = Buffer.alloc(1_000_000, key);
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  const blob = cache.restore(key, target);
  if (blob !== undefined && !(blob.digest === digest && readFileSync(target).equals(content))) {
    process.exitCode = 1;
  }
  if (blob === undefined) {
    writeFileSync(target, content);
    cache.add(key, target, {
      diffId: digest,
      digest,
      size: content.length,
      tarSize: content.length,
    });
  }
  rmSync(target);
  cache.trim();
  console.log(key);
}
