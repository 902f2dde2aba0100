// node cache-writer.js CACHE SCRATCH KEYS MAX_BYTES ROUNDS
// One of several processes that share a blob cache. Each round restores a blob of 1 MB or adds it
// if it is missing, trims the cache, and prints a line. Exit code 1: a restored blob had wrong
// bytes, or the cache warned.
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
