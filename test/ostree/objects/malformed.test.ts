/** Objects that libostree would not have written. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '../../../src/bytes/text.js';
import { decode, encode } from '../../../src/ostree/gvariant/value.js';
import { decodeCommit, decodeMetadata, encodeCommit } from '../../../src/ostree/objects/commit.js';
import { decodeDirmeta, encodeDirmeta } from '../../../src/ostree/objects/dirmeta.js';
import { decodeDirtree } from '../../../src/ostree/objects/dirtree.js';
import {
  decodeFilezHeader,
  decodeHeaderPrefix,
  filezHeaderBytes,
} from '../../../src/ostree/objects/file.js';
import { decodeXattrs, encodeXattrs } from '../../../src/ostree/objects/xattr-list.js';

const NONE = new Uint8Array();
const ID = new Uint8Array(32);
const corrupt = (message: RegExp) => ({ code: 'CORRUPT', message });

test('dirtree: names that are not path components, not sorted or not unique are refused', () => {
  const tree = (files: string[], dirs: string[] = []) =>
    encode('(a(say)a(sayay))', [
      files.map((name) => [name, ID]),
      dirs.map((name) => [name, ID, ID]),
    ]);
  for (const name of ['', '.', '..', 'a/b', '/']) {
    for (const bytes of [tree([name]), tree([], [name])]) {
      assert.throws(
        () => decodeDirtree(bytes),
        corrupt(/directory entry named/),
        JSON.stringify(name),
      );
    }
  }
  assert.throws(
    () => decodeDirtree(tree(['b', 'a'])),
    corrupt(/"b" and "a" are not in ascending order/),
  );
  assert.throws(() => decodeDirtree(tree(['a', 'a'])), corrupt(/ascending order/));
  assert.throws(() => decodeDirtree(tree(['\u{10000}', '\uffff'])), corrupt(/ascending order/));
  assert.throws(
    () => decodeDirtree(tree(['a', 'b'], ['b'])),
    corrupt(/"b" is a file and a directory/),
  );
  const names = ['...', 'a\nb', '\uffff', '\u{10000}'];
  assert.deepEqual(
    decodeDirtree(tree(names)).files.map((file) => file.name),
    names,
  );
});

test('dirtree: the fast decoder of members agrees with the general GVariant decoder', () => {
  const name = fc.oneof(
    fc.string({ minLength: 1 }),
    fc.string({ unit: 'grapheme', minLength: 1 }),
    fc.constant('n'.repeat(200)),
  );
  const names = fc.uniqueArray(name.filter((text) => !/[\0/]|^\.\.?$/.test(text)));
  const change = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });
  const id = (text: string) => createHash('sha256').update(text).digest();
  let decoded = 0;
  fc.assert(
    fc.property(names, names, fc.option(change), (fileNames, dirNames, change) => {
      const sorted = (list: readonly string[]) => list.toSorted(compareUtf8);
      const bytes = encode('(a(say)a(sayay))', [
        sorted(fileNames).map((each) => [each, id(each)]),
        sorted(dirNames.filter((each) => !fileNames.includes(each))).map((each) => [
          each,
          id(`${each}/`),
          id(each),
        ]),
      ]);
      if (change && bytes.length > 0) {
        bytes[change.at % bytes.length] = change.byte;
      }
      const outcome = <T>(body: () => T): T | undefined => {
        try {
          return body();
        } catch {
          return undefined;
        }
      };
      const tree = outcome(() => decodeDirtree(bytes));
      const value = outcome(() => decode('(a(say)a(sayay))', bytes)) as
        | [unknown[][], unknown[][]]
        | undefined;
      if (change === null) {
        assert.ok(tree, 'refused');
      }
      if (tree === undefined) {
        return; // its names are checked too
      }
      decoded++;
      const hex = (each: unknown) =>
        typeof each === 'string' ? each : Buffer.from(each as Uint8Array).toString('hex');
      assert.deepEqual(
        [
          tree.files.map(({ name, checksum }) => [name, checksum]),
          tree.dirs.map((each) => Object.values(each)),
        ],
        value?.map((list) => list.map((member) => member.map(hex))),
      );
    }),
    { numRuns: 2000 },
  );
  assert.ok(decoded > 500, `${decoded} of 2000 decoded`);
});

test('a checksum of 31 bytes is refused', () => {
  assert.throws(
    () => decodeDirtree(encode('(a(say)a(sayay))', [[['a', ID.subarray(1)]], []])),
    corrupt(/checksum of 31 bytes instead of 32/),
  );
});

test('dirmeta: the mode of a file, and bits that st_mode does not have, are refused', () => {
  const meta = (mode: number) => encodeDirmeta({ uid: 0, gid: 0, mode, xattrs: new Map() });
  assert.throws(() => decodeDirmeta(meta(0o100644)), corrupt(/directory of mode 0100644/));
  assert.throws(() => meta(0o1040755), corrupt(/mode 01040755/));
});

test('xattrs: names that are not sorted, unique and well formed are refused, and too many bytes', () => {
  const xattrs = (...names: string[]) =>
    encode(
      'a(ayay)',
      names.map((name) => [Buffer.from(name), NONE]),
    );
  for (const names of [
    ['b\0', 'a\0'],
    ['a\0', 'a\0'],
  ]) {
    assert.throws(() => decodeXattrs(xattrs(...names)), corrupt(/not in ascending order/));
  }
  for (const name of ['', '\0', 'a', 'a\0b\0']) {
    assert.throws(() => decodeXattrs(xattrs(name)), corrupt(/xattr name/));
  }
  assert.throws(
    () => decodeXattrs(encode('a(ayay)', [[Buffer.of(0xff, 0), NONE]])),
    corrupt(/xattr name/),
  );
  assert.throws(() => decodeXattrs(new Uint8Array((1 << 20) + 1)), {
    code: 'LIMIT',
    message: /1048577 bytes/,
  });
});

test('filez header: a type, target and size that contradict each other are refused', () => {
  const header = { uid: 0, gid: 0, mode: 0o100644, size: 1, xattrsBytes: NONE };
  const filez = (change: object) => filezHeaderBytes({ ...header, ...change }).subarray(8);
  assert.throws(
    () => decodeFilezHeader(filez({ mode: 0o040755 })),
    corrupt(/content object of mode 040755/),
  );
  assert.throws(
    () => decodeFilezHeader(filez({ mode: 0o020644 })),
    corrupt(/content object of mode 020644/),
  );
  assert.throws(
    () => decodeFilezHeader(filez({ target: 'x' })),
    corrupt(/file of 1 bytes and target "x"/),
  );
  assert.throws(
    () => decodeFilezHeader(filez({ mode: 0o120777 })),
    corrupt(/symlink of 1 bytes and target ""/),
  );
  assert.throws(
    () => decodeFilezHeader(filez({ mode: 0o120777, target: 'x' })),
    corrupt(/symlink of 1 bytes/),
  );
  const device = Uint8Array.from(filez({}));
  device[23] = 1;
  assert.throws(() => decodeFilezHeader(device), corrupt(/device 1/));
  const huge = Uint8Array.from(filez({}));
  huge.fill(0xff, 0, 8);
  assert.throws(() => decodeFilezHeader(huge), corrupt(/content of 18446744073709551615 bytes/));
});

test('filez header: a symlink target that is longer than any in Linux is refused', () => {
  const symlink = (target: string) => {
    const header = { uid: 0, gid: 0, mode: 0o120777, size: 0, target, xattrsBytes: NONE };
    return filezHeaderBytes(header).subarray(8);
  };
  assert.equal(decodeFilezHeader(symlink('x'.repeat(4095))).target?.length, 4095);
  assert.throws(() => decodeFilezHeader(symlink('ä'.repeat(2048))), {
    code: 'LIMIT',
    message: 'a symlink target of 4096 bytes, at most 4095',
  });
});

test('xattrs that could not be read back are not encoded', () => {
  assert.throws(() => encodeXattrs(new Map([['user.a', new Uint8Array(1 << 20)]])), {
    code: 'LIMIT',
    message: /xattrs of 10485\d\d bytes, at most 1048576$/,
  });
});

test('header prefix: a size above the limit, padding that is not zero and a cut are refused', () => {
  assert.throws(
    () => decodeHeaderPrefix(Buffer.from('7fffffff00000000', 'hex')),
    corrupt(/header of 2147483647 bytes/),
  );
  assert.throws(
    () => decodeHeaderPrefix(Buffer.from('0000001000000001', 'hex')),
    corrupt(/padding/),
  );
  assert.throws(
    () => decodeHeaderPrefix(Buffer.from('00000010', 'hex')),
    corrupt(/needs 4 bytes, has 0/),
  );
});

test('commit: an empty metadata key is refused', () => {
  const unnamed = encode('a{sv}', [['', { type: 's', value: 'a' }]]);
  assert.throws(() => decodeMetadata(unnamed), corrupt(/metadata key is empty/));
});

test('commit: a repeated metadata key, a timestamp too large for a number and a cut at any byte are refused', () => {
  const twice = encode('a{sv}', [
    ['key', { type: 's', value: 'a' }],
    ['key', { type: 's', value: 'b' }],
  ]);
  assert.throws(() => decodeMetadata(twice), corrupt(/key occurs twice/));
  const id = 'c'.repeat(64);
  const bytes = encodeCommit({
    metadata: new Map([['version', { type: 's', value: '1' }]]),
    related: [],
    subject: 's',
    body: '',
    timestamp: 1,
    dirtree: id,
    dirmeta: id,
  });
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(
      () => decodeCommit(bytes.subarray(0, length)),
      { code: 'CORRUPT' },
      `${length} bytes`,
    );
  }
  const late = Uint8Array.from(bytes);
  late.fill(0xff, late.indexOf(1, 24) - 7, late.indexOf(1, 24) + 1);
  assert.throws(() => decodeCommit(late), corrupt(/commit timestamp 18446744073709551615/));
});
