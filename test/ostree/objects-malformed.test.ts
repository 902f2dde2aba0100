import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCommit, decodeMetadata, encodeCommit } from '../../src/ostree/commit.js';
import { decodeDirmeta, encodeDirmeta } from '../../src/ostree/dirmeta.js';
import { decodeDirtree } from '../../src/ostree/dirtree.js';
import { decodeFilezHeader, decodeHeaderPrefix, filezHeaderBytes } from '../../src/ostree/file.js';
import { encode } from '../../src/ostree/gvariant.js';
import { decodeXattrs } from '../../src/ostree/xattrlist.js';

const NONE = new Uint8Array();
const ID = new Uint8Array(32);
const corrupt = (message: RegExp) => ({ code: 'CORRUPT', message });

test('dirtree: names that are no path components, unsorted or double', () => {
  const tree = (files: string[], dirs: string[] = []) =>
    encode('(a(say)a(sayay))', [files.map((name) => [name, ID]), dirs.map((name) => [name, ID, ID])]);
  for (const name of ['', '.', '..', 'a/b', '/'])
    for (const bytes of [tree([name]), tree([], [name])])
      assert.throws(() => decodeDirtree(bytes), corrupt(/directory entry named/), JSON.stringify(name));
  assert.throws(() => decodeDirtree(tree(['b', 'a'])), corrupt(/"b" and "a" are not in ascending order/));
  assert.throws(() => decodeDirtree(tree(['a', 'a'])), corrupt(/ascending order/));
  assert.throws(() => decodeDirtree(tree(['\u{10000}', '\uffff'])), corrupt(/ascending order/));
  assert.throws(() => decodeDirtree(tree(['a', 'b'], ['b'])), corrupt(/"b" is a file and a directory/));
  const names = ['...', 'a\nb', '\uffff', '\u{10000}'];
  assert.deepEqual(
    decodeDirtree(tree(names)).files.map((file) => file.name),
    names,
  );
});

test('checksums of another length', () => {
  assert.throws(
    () => decodeDirtree(encode('(a(say)a(sayay))', [[['a', ID.subarray(1)]], []])),
    corrupt(/checksum of 31 bytes instead of 32/),
  );
});

test('dirmeta of a file, or with bits that st_mode has not', () => {
  const meta = (mode: number) => encodeDirmeta({ uid: 0, gid: 0, mode, xattrs: new Map() });
  assert.throws(() => decodeDirmeta(meta(0o100644)), corrupt(/directory of mode 0100644/));
  assert.throws(() => meta(0o1040755), corrupt(/mode 01040755/));
});

test('xattrs: names unsorted, double, empty or without NUL; too many bytes', () => {
  const xattrs = (...names: string[]) =>
    encode(
      'a(ayay)',
      names.map((name) => [Buffer.from(name), NONE]),
    );
  for (const names of [
    ['b\0', 'a\0'],
    ['a\0', 'a\0'],
  ])
    assert.throws(() => decodeXattrs(xattrs(...names)), corrupt(/not in ascending order/));
  for (const name of ['', '\0', 'a', 'a\0b\0']) assert.throws(() => decodeXattrs(xattrs(name)), corrupt(/xattr name/));
  assert.throws(() => decodeXattrs(encode('a(ayay)', [[Buffer.of(0xff, 0), NONE]])), corrupt(/xattr name/));
  assert.throws(() => decodeXattrs(new Uint8Array((1 << 20) + 1)), { code: 'LIMIT', message: /1048577 bytes/ });
});

test('filez header: types, targets and lengths that contradict each other', () => {
  const header = { uid: 0, gid: 0, mode: 0o100644, size: 1, xattrsBytes: NONE };
  const filez = (change: object) => filezHeaderBytes({ ...header, ...change }).subarray(8);
  assert.throws(() => decodeFilezHeader(filez({ mode: 0o040755 })), corrupt(/content object of mode 040755/));
  assert.throws(() => decodeFilezHeader(filez({ mode: 0o020644 })), corrupt(/content object of mode 020644/));
  assert.throws(() => decodeFilezHeader(filez({ target: 'x' })), corrupt(/file of 1 bytes and target "x"/));
  assert.throws(() => decodeFilezHeader(filez({ mode: 0o120777 })), corrupt(/symlink of 1 bytes and target ""/));
  assert.throws(() => decodeFilezHeader(filez({ mode: 0o120777, target: 'x' })), corrupt(/symlink of 1 bytes/));
  const device = Uint8Array.from(filez({}));
  device[23] = 1;
  assert.throws(() => decodeFilezHeader(device), corrupt(/device 1/));
  const huge = Uint8Array.from(filez({}));
  huge.fill(0xff, 0, 8);
  assert.throws(() => decodeFilezHeader(huge), corrupt(/content of 18446744073709551615 bytes/));
});

test('header prefix: too long, cut, or with padding that is not zero', () => {
  assert.throws(
    () => decodeHeaderPrefix(Buffer.from('7fffffff00000000', 'hex')),
    corrupt(/header of 2147483647 bytes/),
  );
  assert.throws(() => decodeHeaderPrefix(Buffer.from('0000001000000001', 'hex')), corrupt(/padding/));
  assert.throws(() => decodeHeaderPrefix(Buffer.from('00000010', 'hex')), corrupt(/needs 4 bytes, has 0/));
});

test('commit: a metadata key given twice, a timestamp without end, cut at every byte', () => {
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
  for (let length = 0; length < bytes.length; length++)
    assert.throws(() => decodeCommit(bytes.subarray(0, length)), { code: 'CORRUPT' }, `${length} bytes`);
  const late = Uint8Array.from(bytes);
  late.fill(0xff, late.indexOf(1, 24) - 7, late.indexOf(1, 24) + 1);
  assert.throws(() => decodeCommit(late), corrupt(/commit timestamp 18446744073709551615/));
});
