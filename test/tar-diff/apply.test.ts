import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { applyTarDiff } from '../../src/tar-diff/apply.js';
import {
  encodeAddData,
  encodeCopy,
  encodeData,
  encodeOpen,
  encodeSeek,
  encodeZstdDict,
  readOperations,
} from '../../src/tar-diff/operations.js';
import { damaged, randomNumbers } from '../support/random-damage.js';
import { apply, oldFiles, tarDiff } from '../support/tar-diff.js';

const text = Buffer.from('the quick brown fox jumps over the lazy dog');
const large = Buffer.alloc(300_000, 'a line of a large file\n');
const files = oldFiles({ 'usr/text': text, 'usr/large': large, 'usr/empty': Buffer.alloc(0) });

const data = (content: string) => Buffer.concat([encodeData(content.length), Buffer.from(content)]);
const addData = (added: Uint8Array) => Buffer.concat([encodeAddData(added.length), added]);

/** The frame of an empty content. */
const EMPTY_FRAME = Buffer.from('28b52ffd2000010000', 'hex');

const good = [
  data('head '),
  encodeOpen('usr/text'),
  encodeSeek(4),
  encodeCopy(6),
  addData(Buffer.from([1, 0, 255, 0])),
  encodeOpen('usr/large'),
  encodeCopy(large.length),
  encodeOpen('usr/empty'),
  encodeCopy(0),
  data(''),
];
const goodTar = Buffer.concat([Buffer.from('head quick crnw'), large]);

test('a tar-diff of either version gives what its operations say', async () => {
  assert.deepEqual(await apply(tarDiff(1, good), files), goodTar);
  assert.deepEqual(await apply(tarDiff(2, good), files), goodTar);
});

const refused: [string, Uint8Array, RegExp][] = [
  ['another file', Buffer.from('no tar-diff at all'), /CORRUPT begins with .* \(offset 0\)/],
  ['an empty file', Buffer.alloc(0), /CORRUPT begins with /],
  ['no stream', Buffer.from('tardf1\n\0x'), /CORRUPT zstd: |CORRUPT the zstd stream ends/],
  [
    'an unknown operation',
    tarDiff(2, [data('x'), Buffer.from([6, 0])]),
    /unknown operation 6 \(offset 3 of/,
  ],
  ['zstd-dict in version 1', tarDiff(1, [encodeZstdDict(0)]), /CORRUPT zstd-dict in version 1/],
  [
    'data that is cut',
    tarDiff(2, [encodeData(5), text.subarray(0, 4)]),
    /ends within an operation \(offset 6/,
  ],
  ['a size that is cut', tarDiff(2, [Buffer.from([0, 0x80])]), /ends within an operation/],
  [
    'a size above 2^53',
    tarDiff(2, [Buffer.from(`02${'ff'.repeat(9)}01`, 'hex')]),
    /LIMIT a size of more than/,
  ],
  [
    'an endless size',
    tarDiff(2, [Buffer.from(`02${'80'.repeat(90)}01`, 'hex')]),
    /LIMIT a size of more than/,
  ],
  [
    'a copy without a file',
    tarDiff(2, [encodeCopy(1)]),
    /CORRUPT copy at offset 0: no file is open/,
  ],
  [
    'a seek without a file',
    tarDiff(2, [encodeSeek(1)]),
    /CORRUPT seek at offset 0: no file is open/,
  ],
  [
    'a file that is missing',
    tarDiff(2, [encodeOpen('usr/none')]),
    /NOT_FOUND open at offset 0: no file usr/,
  ],
  [
    'a copy beyond the end',
    tarDiff(2, [encodeOpen('usr/text'), encodeSeek(40), encodeCopy(4)]),
    /CORRUPT copy at offset 12: needs 4 bytes at 40 of usr\/text, which has 43/,
  ],
  [
    'an add-data beyond the end',
    tarDiff(2, [encodeOpen('usr/empty'), addData(text)]),
    /CORRUPT add-data at offset 11: needs 43 bytes at 0/,
  ],
  ['a large add-data', tarDiff(2, [encodeAddData(1e9)]), /LIMIT add-data of 1000000000 bytes/],
  ['an endless path', tarDiff(2, [Buffer.from([1, 0xff, 0xff, 1])]), /LIMIT open: a path of 32767/],
  [
    'a path that is not UTF-8',
    tarDiff(2, [Buffer.from([1, 1, 0xff])]),
    /CORRUPT open: the path is not/,
  ],
  [
    'zstd-dict without a frame',
    tarDiff(2, [encodeOpen('usr/text'), encodeZstdDict(0)]),
    /without a zstd frame/,
  ],
  [
    'a frame that is cut',
    tarDiff(2, [encodeOpen('usr/text'), encodeZstdDict(7), EMPTY_FRAME.subarray(0, 7)]),
    /CORRUPT zstd-dict at offset 10: the zstd stream ends within a frame/,
  ],
  [
    'a frame that is no block of zstd',
    tarDiff(2, [
      encodeOpen('usr/text'),
      encodeZstdDict(12),
      Buffer.from('28b52ffd2010250000ffffff', 'hex'),
    ]),
    /CORRUPT zstd-dict at offset 10: /,
  ],
  [
    'a frame with a window of a terabyte',
    tarDiff(2, [
      encodeOpen('usr/text'),
      encodeZstdDict(9),
      Buffer.from('28b52ffd00f0010000', 'hex'),
    ]),
    /LIMIT zstd-dict at offset 10: .*a window of 1099511627776 bytes, at most 536870912/,
  ],
  [
    'a second frame with a window of 2 GiB',
    tarDiff(2, [
      encodeOpen('usr/text'),
      encodeZstdDict(EMPTY_FRAME.length + 9),
      EMPTY_FRAME,
      Buffer.from('28b52ffd00a8010000', 'hex'),
    ]),
    /LIMIT zstd-dict at offset 10: .*a window of 2147483648 bytes, at most 1073741824/,
  ],
];
for (const path of [
  '/etc/passwd',
  '../x',
  'a/../b',
  'a//b',
  'a/',
  '',
  'a\0b',
  'sysroot/ostree/repo/x',
]) {
  const bytes = Buffer.from(path);
  const operation = Buffer.concat([Buffer.from([1, bytes.length]), bytes]);
  const name = `the path ${JSON.stringify(path)}`;
  refused.push([name, tarDiff(2, [operation]), /CORRUPT open: the path .*\(offset 0 of/]);
  test(`${name} cannot be written`, () => {
    assert.throws(() => encodeOpen(path), { code: 'UNSUPPORTED' });
  });
}
for (const [what, delta, expected] of refused) {
  test(`${what} is refused with the offset and the rule`, async () => {
    await assert.rejects(apply(delta, files), (error: Error & { code: string }) => {
      assert.match(`${error.code} ${error.message}`, expected);
      return true;
    });
  });
}

test('the size of a rebuilt tar is bounded', async () => {
  const size = 2 ** 30;
  const zeros = Buffer.alloc(1 << 24);
  const huge = {
    open: async () => ({
      size,
      *read() {
        for (let at = 0; at < size; at += zeros.length) {
          yield zeros;
        }
      },
    }),
  };
  const copies = Array.from({ length: 70 }, () => [encodeSeek(0), encodeCopy(size)]);
  const delta = tarDiff(1, [encodeOpen('usr/large'), ...copies.flat()]);
  await assert.rejects(
    async () => {
      for await (const _ of applyTarDiff([delta], huge)) {
      }
    },
    { code: 'LIMIT', message: /more than 68719476736 bytes$/ },
  );
});

test('the sizes of the files that are read are bounded', async () => {
  const large = { size: 2 ** 38, read: () => [] };
  const open = encodeOpen('usr/large');
  const opens = Array.from({ length: 5 }, () => open);
  await assert.rejects(apply(tarDiff(1, opens), { open: async () => large }), {
    code: 'LIMIT',
    message: /^open at offset 44: reads files of more than 1099511627776 bytes$/,
  });
});

test('the number of operations is bounded', async () => {
  const seeks = [encodeOpen('usr/text'), encodeSeek(0), encodeSeek(0)];
  const read = async (maxOperations: number, operations = seeks) => {
    const stream = Readable.from([Buffer.concat(operations)], { objectMode: false });
    let count = 0;
    for await (const _ of readOperations(2, stream, maxOperations)) {
      count++;
    }
    return count;
  };
  assert.equal(await read(3), 3);
  await assert.rejects(read(2), {
    code: 'LIMIT',
    message: 'more than 2 operations for 0 bytes (offset 12 of the operations)',
  });
  // Each 64 bytes that are emitted allow one more.
  const copies = [encodeOpen('usr/text'), encodeCopy(128), encodeSeek(0), encodeSeek(0)];
  assert.equal(await read(2, copies), 4);
  await assert.rejects(read(2, [...copies, encodeSeek(0)]), { code: 'LIMIT' });
});

const rest = randomBytes(100_000);
for (const [what, delta] of [
  ['is none', Buffer.concat([Buffer.from('no tar-diff'), rest])],
  ['is damaged', tarDiff(2, [encodeOpen('usr/none'), rest])],
] as const) {
  test(`a tar-diff that ${what} is closed`, async () => {
    let isClosed = false;
    const chunks = function* () {
      try {
        for (let at = 0; at < delta.length; at += 1000) {
          yield delta.subarray(at, at + 1000);
        }
      } finally {
        isClosed = true;
      }
    };
    await assert.rejects(async () => {
      for await (const _ of applyTarDiff(chunks(), files)) {
      }
    });
    await setImmediate(); // streams of Node close a little later
    assert.ok(isClosed);
  });
}

test('damage at random gives a tar or an error with a code', async () => {
  const seed = 20_260_601;
  const operations = Buffer.concat([
    ...good,
    encodeOpen('usr/text'),
    encodeZstdDict(EMPTY_FRAME.length),
    EMPTY_FRAME,
  ]);
  const whole = tarDiff(2, [operations]);
  let errors = 0;
  for (let i = 0; i < 400; i++) {
    const random = randomNumbers(seed + i);
    const delta =
      i % 4 === 0 ? Buffer.from(damaged(whole, random)) : tarDiff(2, [damaged(operations, random)]);
    try {
      await apply(delta, files);
    } catch (error) {
      const { code, message } = error as Error & { code: string };
      const allowed = ['CORRUPT', 'LIMIT', 'NOT_FOUND'];
      assert.ok(allowed.includes(code), `seed ${seed + i}: ${code} ${message}`);
      errors++;
    }
  }
  assert.ok(errors > 100, `${errors} errors`);
});
