import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeEdits } from '../../src/tar-diff/edits.js';
import { encodeOpen } from '../../src/tar-diff/operations.js';
import { type Random, randomNumbers } from '../support/random-damage.js';
import { apply, oldFiles, tarDiff } from '../support/tar-diff.js';

const efforts = [
  { seedDistance: 1, candidates: 8 },
  { seedDistance: 4, candidates: 1 },
];
const [thorough = assert.fail()] = efforts;

/** Returns a tar-diff that makes `newBytes` from `oldBytes`. */
function diff(oldBytes: Uint8Array, newBytes: Uint8Array, effort = thorough): Buffer {
  const { operations } = encodeEdits(oldBytes, newBytes, effort);
  return tarDiff(2, [encodeOpen('old'), operations]);
}

/** Returns bytes of which the same ones follow each other often if `values` is small. */
function randomBytes(size: number, values: number, random: Random): Buffer {
  return Buffer.from(Array.from({ length: size }, () => random(values)));
}

/** Returns a copy with parts moved, added, removed and changed. */
function mutated(bytes: Buffer, random: Random): Buffer {
  let copy = Buffer.from(bytes);
  for (let left = random(8); left > 0; left--) {
    const at = random(copy.length + 1);
    const end = at + random(200);
    const inserted = [randomBytes(random(50), 256, random), bytes.subarray(at, end)];
    copy = Buffer.concat([copy.subarray(0, at), ...inserted, copy.subarray(at + random(300))]);
  }
  for (let left = random(20); left > 0 && copy.length > 0; left--) {
    copy[random(copy.length)] = random(256);
  }
  return copy;
}

test('edits make any file from any other', async () => {
  const random = randomNumbers(19);
  for (let round = 0; round < 100; round++) {
    const values = [2, 4, 256][round % 3] ?? 2;
    const oldBytes = randomBytes(random(3000), values, random);
    const isRelated = random(4) > 0;
    const newBytes = isRelated
      ? mutated(oldBytes, random)
      : randomBytes(random(3000), values, random);
    for (const effort of efforts) {
      const delta = diff(oldBytes, newBytes, effort);
      const made = await apply(delta, oldFiles({ old: oldBytes }));
      assert.deepEqual(made, newBytes, `round ${round}`);
    }
  }
});

test('bytes that repeat do not make the search quadratic', () => {
  const size = 300_000;
  const zeros = Buffer.alloc(size);
  const pairs = Buffer.alloc(size, 'ab');
  const dotted = Buffer.from(zeros);
  for (let at = 0; at < size; at += 13) {
    dotted[at] = 1;
  }
  const files = [zeros, pairs, pairs.subarray(1), dotted, dotted.subarray(5)];
  for (const oldBytes of files) {
    for (const newBytes of files) {
      encodeEdits(oldBytes, newBytes, thorough);
    }
  }
});

/** Returns a table of addresses as in kernel modules: one that moved adds the same to each. */
function addresses(count: number, moved: number): Buffer {
  const random = randomNumbers(1);
  const table = Buffer.alloc(count * 24);
  for (let i = 0; i < count; i++) {
    table.writeUInt32LE(random(2 ** 24) + moved, i * 24);
    table.writeUInt32LE(random(2 ** 31), i * 24 + 8);
  }
  return table;
}

test('a table of addresses that all moved takes next to nothing', () => {
  const oldTable = addresses(10_000, 0);
  const newTable = addresses(10_000, 4);
  const { added } = encodeEdits(oldTable, newTable, thorough);
  assert.equal(added, 0);
  // The addresses alone are 30,000 random bytes.
  assert.ok(diff(oldTable, newTable).length < 6000);
});

test('an insertion and bytes that moved are found', async () => {
  const random = randomNumbers(2);
  const oldBytes = randomBytes(100_000, 256, random);
  const inserted = randomBytes(1000, 256, random);
  const half = oldBytes.length / 2;
  const parts = [oldBytes.subarray(half), inserted, oldBytes.subarray(0, half)];
  const newBytes = Buffer.concat(parts);
  const { added, operations } = encodeEdits(oldBytes, newBytes, thorough);
  assert.ok(Math.abs(added - inserted.length) < 20, `${added}`);
  assert.ok(operations.length < 1200, `${operations.length}`);
  assert.deepEqual(await apply(diff(oldBytes, newBytes), oldFiles({ old: oldBytes })), newBytes);
});

test('an empty file is made, and a file is made from an empty one', async () => {
  const empty = Buffer.alloc(0);
  const bytes = Buffer.from('something else');
  assert.deepEqual(await apply(diff(bytes, empty), oldFiles({ old: bytes })), empty);
  assert.deepEqual(await apply(diff(empty, bytes), oldFiles({ old: empty })), bytes);
});
