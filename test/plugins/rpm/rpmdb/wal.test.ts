/** Write-ahead logs of SQLite: which frames count, and which logs are refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRpmdb } from '../../../../plugins/rpm/rpmdb/index.js';
import { applyWal } from '../../../../plugins/rpm/rpmdb/wal.js';
import { discoverFixtures } from '../../../support/rpmdb-fixtures.js';

const PAGE = 512;
const FRAME = 24 + PAGE;

/** A database of `pages` pages, each filled with its number. */
function database(pages: number): Buffer {
  const bytes = Buffer.concat(Array.from({ length: pages }, (_, i) => Buffer.alloc(PAGE, i + 1)));
  bytes.writeUInt16BE(PAGE, 16);
  return bytes;
}
interface Frame {
  readonly page: number;
  readonly fill: number;
  /** Database size in pages, which marks the frame as a commit. */
  readonly commit?: number;
}
/** Writes a log by the rules of fileformat2.html, independently of the reader under test. */
function log(frames: readonly Frame[], { littleEndian = false, salt = 7 } = {}): Buffer {
  const header = Buffer.alloc(32);
  [littleEndian ? 0x377f0682 : 0x377f0683, 3007000, PAGE, 0, salt, 8].forEach((value, i) => {
    header.writeUInt32BE(value, 4 * i);
  });
  let sum: [number, number] = [0, 0];
  const add = (bytes: Buffer) => {
    for (let i = 0; i < bytes.length; i += 8) {
      const word = (at: number) => (littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
      const s0 = (sum[0] + word(i) + sum[1]) >>> 0;
      sum = [s0, (sum[1] + word(i + 4) + s0) >>> 0];
    }
  };
  add(header.subarray(0, 24));
  header.writeUInt32BE(sum[0], 24);
  header.writeUInt32BE(sum[1], 28);
  const parts = [header];
  for (const { page, fill, commit = 0 } of frames) {
    const frame = Buffer.alloc(FRAME, fill);
    if (page === 1) {
      frame.writeUInt16BE(PAGE, 24 + 16);
    }
    [page, commit, salt, 8].forEach((value, i) => {
      frame.writeUInt32BE(value, 4 * i);
    });
    add(frame.subarray(0, 8));
    add(frame.subarray(24));
    frame.writeUInt32BE(sum[0], 16);
    frame.writeUInt32BE(sum[1], 20);
    parts.push(frame);
  }
  return Buffer.concat(parts);
}
/** What each page is filled with, by its last byte. */
const fills = (image: Uint8Array | undefined) =>
  image && Array.from({ length: image.length / PAGE }, (_, i) => image[(i + 1) * PAGE - 1]);

for (const littleEndian of [false, true]) {
  test(`committed frames are applied, checksums ${littleEndian ? 'little' : 'big'}-endian`, () => {
    const db = database(3);
    const wal = log(
      [
        { page: 2, fill: 20 },
        { page: 4, fill: 40, commit: 4 },
        { page: 2, fill: 21, commit: 4 },
      ],
      { littleEndian },
    );
    assert.deepEqual(fills(applyWal(db, wal)), [1, 21, 3, 40]);
    assert.deepEqual(fills(db), [1, 2, 3]);
  });
}

test('frames after the last commit do not count', () => {
  const wal = log([
    { page: 2, fill: 20, commit: 3 },
    { page: 3, fill: 30 },
  ]);
  assert.deepEqual(fills(applyWal(database(3), wal)), [1, 20, 3]);
  assert.equal(applyWal(database(3), log([{ page: 2, fill: 20 }])), undefined);
});

test('a commit can make the database smaller', () => {
  const wal = log([
    { page: 3, fill: 30 },
    { page: 1, fill: 10, commit: 2 },
  ]);
  assert.deepEqual(fills(applyWal(database(3), wal)), [10, 2]);
});

test('frames left over from an earlier round of the log do not count', () => {
  const fresh = log([{ page: 2, fill: 20, commit: 3 }], { salt: 8 });
  const stale = log([
    { page: 2, fill: 98, commit: 3 },
    { page: 3, fill: 99, commit: 3 },
  ]);
  const wal = Buffer.concat([fresh, stale.subarray(fresh.length)]);
  assert.deepEqual(fills(applyWal(database(3), wal)), [1, 20, 3]);
});

test('a flipped bit ends the log at the commit before it', () => {
  const wal = log([
    { page: 2, fill: 20, commit: 3 },
    { page: 3, fill: 30, commit: 3 },
  ]);
  for (const at of [0, 4, 8, 16, 24, FRAME - 1]) {
    const broken = Buffer.from(wal);
    (broken[32 + FRAME + at] as number) ^= 1;
    assert.deepEqual(
      fills(applyWal(database(3), broken)),
      [1, 20, 3],
      `bit of byte ${at} of frame 2`,
    );
  }
  for (const at of [0, 8, 12, 16, 24]) {
    const broken = Buffer.from(wal);
    (broken[at] as number) ^= 1;
    assert.equal(applyWal(database(3), broken), undefined, `bit of byte ${at} of the header`);
  }
});

test('if a log is cut off anywhere, its complete transactions count', () => {
  const wal = log([
    { page: 2, fill: 20, commit: 3 },
    { page: 3, fill: 30, commit: 3 },
  ]);
  const expectedAt = (length: number) => {
    if (length === wal.length) {
      return [1, 20, 30];
    }
    return length >= 32 + FRAME ? [1, 20, 3] : undefined;
  };
  for (let length = 0; length <= wal.length; length++) {
    assert.deepEqual(
      fills(applyWal(database(3), wal.subarray(0, length))),
      expectedAt(length),
      `${length} bytes`,
    );
  }
});

test('a log with another page size, or that claims more pages than the files hold, is refused', () => {
  const other = database(3);
  other.writeUInt16BE(1024, 16);
  const wal = log([{ page: 2, fill: 20, commit: 3 }]);
  assert.throws(() => applyWal(other, wal), { code: 'CORRUPT', message: /pages of 512 bytes/ });
  const huge = log([{ page: 2, fill: 20, commit: 2 ** 31 }]);
  assert.throws(() => applyWal(database(3), huge), {
    code: 'CORRUPT',
    message: /2147483648 pages/,
  });
});

test('a live database shows different packages with and without its log', async () => {
  const fixture = discoverFixtures().find(({ read }) => (read().wal?.length ?? 0) > 0);
  assert.ok(fixture, 'a fixture with a log');
  const { wal, ...alone } = fixture.read();
  const names = async (files: typeof alone) => {
    const db = await openRpmdb(files);
    const result = Array.from(db.packages(), (pkg) => pkg.nevra).sort();
    return result;
  };
  const expected = fixture.expected.map((pkg) => pkg.nevra).sort();
  assert.deepEqual(await names({ ...alone, ...(wal && { wal }) }), expected);
  assert.notDeepEqual(await names(alone), expected);
});
