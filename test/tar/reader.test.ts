/** Reads what GNU tar writes in each of its formats, what we write, and malformed archives. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { Xattrs } from '../../src/bytes/xattrs.js';
import { mutableTreeOfCommit } from '../../src/client/merge.js';
import { openRepo } from '../../src/ostree/repo.js';
import type { TarHeader } from '../../src/tar/entry.js';
import { TAR_BLOCK } from '../../src/tar/fields.js';
import { END_OF_ARCHIVE, encodeTarHeader, tarPadding } from '../../src/tar/header.js';
import { encodePaxRecord } from '../../src/tar/pax.js';
import { TarReader } from '../../src/tar/reader.js';
import { run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

interface Entry extends TarHeader {
  readonly content: string;
}

/**
 * Reads an archive that arrives in chunks of `size` bytes. Asserts that the content of every entry
 * lies where the reader says.
 */
function read(archive: Uint8Array, size = archive.length): Entry[] {
  const entries: Entry[] = [];
  let header: TarHeader | undefined;
  let content = Buffer.alloc(0);
  const reader = new TarReader({
    entry: (next) => {
      assert.equal(header, undefined, 'the last entry has ended');
      header = next;
      content = Buffer.alloc(0);
    },
    content: (bytes) => {
      content = Buffer.concat([content, bytes]);
    },
    entryEnd: () => {
      assert.ok(header);
      const stored = archive.subarray(reader.contentOffset).subarray(0, header.size);
      assert.ok(content.equals(stored), `the content of ${header.name} at its offset`);
      entries.push({ ...header, content: content.toString('latin1') });
      header = undefined;
    },
  });
  for (let at = 0; at < archive.length; at += size) {
    reader.push(archive.subarray(at, at + size));
  }
  reader.end();
  return entries;
}

const file = (name: string, text: string, more: object = {}) => {
  const bytes = Buffer.from(text);
  const header = encodeTarHeader({
    name,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: bytes.length,
    ...more,
  });
  return Buffer.concat([header, bytes, tarPadding(bytes.length)]);
};
const archive = (...parts: readonly Uint8Array[]) => Buffer.concat([...parts, END_OF_ARCHIVE]);

suite('archives of GNU tar', needs('tar'), () => {
  const LONG = `${'d'.repeat(120)}/${'f'.repeat(200)}`;
  const tree = scratchDirectory();
  mkdirSync(join(tree, 'd'.repeat(120)));
  writeFileSync(join(tree, LONG), 'long');
  writeFileSync(join(tree, 'päth'), 'x'.repeat(1000), { mode: 0o600 });
  symlinkSync('t'.repeat(300), join(tree, 'link'));
  writeFileSync(join(tree, 'empty'), '');

  for (const format of ['gnu', 'oldgnu', 'pax', 'posix']) {
    test(`an archive in the format ${format} is read`, () => {
      const options = [
        '--create',
        `--format=${format}`,
        '--owner=4000000000',
        '--group=7',
        '--numeric-owner',
        '-C',
        tree,
      ];
      const { status, stdout } = spawnSync('tar', [...options, LONG, 'päth', 'link', 'empty'], {
        env: { LC_ALL: 'C.UTF-8' },
      });
      assert.equal(status, 0);
      for (const size of [stdout.length, 512, 100, 7]) {
        const entries = read(stdout, size);
        assert.deepEqual(
          entries.map(({ name, type, size: length, uid, gid }) => ({
            name,
            type,
            length,
            uid,
            gid,
          })),
          [
            { name: LONG, type: 'file', length: 4 },
            { name: 'päth', type: 'file', length: 1000 },
            { name: 'link', type: 'symlink', length: 0 },
            { name: 'empty', type: 'file', length: 0 },
          ].map((entry) => ({ ...entry, uid: 4_000_000_000, gid: 7 })),
        );
        assert.deepEqual([entries[0]?.content, entries[1]?.content], ['long', 'x'.repeat(1000)]);
        assert.equal(entries[2]?.linkname, 't'.repeat(300));
        assert.equal(entries[1]?.mode, 0o600);
      }
    });

    for (const [time, seconds] of [
      ['1.75', 1],
      ['-0.25', -1],
      ['-99999999.5', -100_000_000],
      ['-100000000', -100_000_000],
      ['10000000000.5', 10_000_000_000],
    ] as const) {
      test(`the time ${time} in the format ${format} is rounded down to a second`, () => {
        const options = ['--create', `--format=${format}`, `--mtime=@${time}`, '-C', tree];
        const { status, stdout } = spawnSync('tar', [...options, 'empty']);
        assert.equal(status, 0);
        assert.equal(read(stdout)[0]?.mtime, seconds);
      });
    }
  }
});

test('entries that we write are read as they were, in chunks of any size', () => {
  const name = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 300 })
    .filter((text) => !/[\0/]/.test(text));
  const entry = fc.record({
    name,
    mode: fc.nat(0o7777),
    uid: fc.nat(2 ** 31),
    gid: fc.nat(2 ** 31),
    mtime: fc.oneof(fc.integer(), fc.maxSafeInteger()),
    text: fc.string({ maxLength: 1200 }),
    xattrs: fc.dictionary(name, fc.uint8Array({ maxLength: 40 }), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  });
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 5 }),
      fc.integer({ min: 1, max: 3000 }),
      (entries, size) => {
        const parts = entries.map(({ text, xattrs, ...rest }) =>
          file(rest.name, text, { ...rest, xattrs: new Map(Object.entries(xattrs)) }),
        );
        const found = read(archive(...parts), size);
        assert.deepEqual(
          found.map((each) => ({
            ...each,
            xattrs: [...each.xattrs].map(([key, value]) => [key, [...value]]),
          })),
          entries.map(({ text, xattrs, ...rest }) => ({
            ...{ ...rest, type: 'file', linkname: '' },
            size: Buffer.byteLength(text),
            storedSize: Buffer.byteLength(text),
            extents: undefined,
            content: Buffer.from(text).toString('latin1'),
            xattrs: Object.entries(xattrs).map(([key, value]) => [key, [...value]]),
          })),
        );
      },
    ),
    { numRuns: 200 },
  );
});

test('bytes after the end of an archive are skipped, up to a limit', () => {
  assert.equal(read(Buffer.concat([archive(file('a', 'x')), Buffer.alloc(10_000)])).length, 1);
  assert.equal(read(file('a', 'x')).length, 1, 'without the zero blocks');
  const oneBlock = Buffer.concat([file('a', 'x'), Buffer.alloc(TAR_BLOCK)]);
  assert.equal(read(oneBlock).length, 1, 'with one zero block');
  const endless = Buffer.concat([archive(file('a', 'x')), Buffer.alloc(2 << 20)]);
  assert.throws(() => read(endless), { code: 'LIMIT' });
});

/** A header with `bytes` at `offset`, and the checksum that fits. */
function patched(offset: number, bytes: string, header: Uint8Array = file('name', '')): Buffer {
  const block = Buffer.from(header);
  block.write(bytes, offset, 'latin1');
  block.fill(0x20, 148, 156);
  const sum = block.subarray(0, TAR_BLOCK).reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

const pax = (body: string) =>
  Buffer.concat([
    patched(156, 'x', file('pax', body).subarray(0, TAR_BLOCK)),
    Buffer.from(body),
    tarPadding(body.length),
  ]);

test('a file of Unix V7 whose name ends in a slash is a directory', () => {
  const [entry] = read(archive(patched(156, '\0', file('d/', ''))));
  assert.equal(entry?.type, 'directory');
});

test('a hard link has no content, whatever size it states', needs('tar'), () => {
  const link = patched(156, '1', file('link', '', { size: 1000 }));
  link.write('a', 157);
  const bytes = archive(file('a', 'x'), patched(156, '1', link), file('b', 'y'));
  const names = read(bytes).map(({ name, type, size }) => `${type} ${name} ${size}`);
  assert.deepEqual(names, ['file a 1', 'link link 0', 'file b 1']);
  assert.equal(run('tar', ['--list'], { input: bytes.toString('latin1') }), 'a\nlink\nb\n');
});

/** An empty file after an extended header with records of these keywords. */
const withRecords = (records: Readonly<Record<string, string>>) => {
  const body = Object.entries(records).map(([keyword, value]) =>
    encodePaxRecord(keyword, Buffer.from(value)),
  );
  return archive(pax(Buffer.concat(body).toString()), file('name', ''));
};
const asTexts = (xattrs: Xattrs) =>
  Object.fromEntries(
    [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('latin1')]),
  );
const xattrsOf = (records: Readonly<Record<string, string>>) =>
  asTexts(read(withRecords(records))[0]?.xattrs ?? new Map());

suite('an extended attribute that bsdtar wrote', () => {
  test('is decoded from base64, and its name from URL encoding', () => {
    const records = {
      'LIBARCHIVE.xattr.user.empty': '',
      'LIBARCHIVE.xattr.user.one': 'AA',
      'LIBARCHIVE.xattr.user.padded': '/+8=',
      'LIBARCHIVE.xattr.user.old': '/+8_',
      'LIBARCHIVE.xattr.user.na%C3%AFve%3D%25%zz': 'YWJj',
    };
    assert.deepEqual(xattrsOf(records), {
      'user.empty': '',
      'user.one': '\0',
      'user.padded': '\xff\xef',
      'user.old': '\xff\xef',
      'user.naïve=%%zz': 'abc',
    });
  });

  test('has the value of its other record, which container engines read', () => {
    const records = { 'SCHILY.xattr.user.a': 'first', 'LIBARCHIVE.xattr.user.a': 'YWJj' };
    assert.deepEqual(xattrsOf(records), { 'user.a': 'first' });
  });

  test('is read as ostree reads it', needs('ostree'), () => {
    // One for each commit: ostree does not sort the xattrs that it takes from a tar.
    for (const [keyword, value] of [
      ['LIBARCHIVE.xattr.user.a%3Db', '/+8='],
      ['LIBARCHIVE.xattr.user.na%C3%AFve', 'AA'],
      ['LIBARCHIVE.xattr.user.old', '/+8_'],
      ['SCHILY.xattr.user.text', 'text'],
    ] as const) {
      const records = { [keyword]: value };
      const scratch = scratchDirectory();
      const tar = join(scratch, 'a.tar');
      writeFileSync(tar, withRecords(records));
      const path = join(scratch, 'repo');
      run('ostree', ['init', `--repo=${path}`, '--mode=archive']);
      const args = ['--branch=tar', `--tree=tar=${tar}`, '--tar-autocreate-parents'];
      run('ostree', ['commit', `--repo=${path}`, ...args]);

      const repo = openRepo(path);
      const checksum = mutableTreeOfCommit(repo, repo.resolve('tar')).lookup('name') ?? '';
      assert.deepEqual(asTexts(repo.fileInfo(checksum).xattrs), xattrsOf(records));
    }
  });
});

test('the padding of the last entry may be missing, unless the end is to be marked', () => {
  for (const size of [512 + 7, 512 + 8, 1023]) {
    const reader = new TarReader({ entry() {}, content() {}, entryEnd() {} });
    reader.push(file('a', 'content').subarray(0, size));
    reader.end();
    assert.throws(() => reader.end(true), { message: /cut off behind entry "a"/ });
  }
});

for (const [name, bytes, message] of [
  [
    'content that is cut by one byte',
    file('a', 'content').subarray(0, 512 + 6),
    /ends within entry "a"/,
  ],
  [
    'a cut header after an entry',
    Buffer.concat([file('a', ''), file('b', '').subarray(0, 100)]),
    /ends within a header/,
  ],
  [
    'a false checksum',
    Buffer.concat([Buffer.from('b'), file('a', '').subarray(1)]),
    /states the checksum/,
  ],
  ['a size that is not a number', patched(124, 'xyz'), /tar size is/],
  ['a negative size', patched(124, '\xff\xff\xff\xff'), /negative/],
  [
    'a size above 2^53',
    patched(124, '\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff'),
    /tar size is/,
  ],
  ['an unknown type', patched(156, 'Q'), /of type "Q"$/],
  ['the label of a volume', patched(156, 'V'), /of type "V": the label of a volume of GNU tar$/],
  ['a directory of a backup', patched(156, 'D'), /of type "D": a directory of an incremental/],
  ['a uid of 33 bits', withRecords({ uid: '4294967296' }), /tar uid is 4294967296, expected/],
  ['a gid of 33 bits', patched(116, '\x80\0\0\x01\0\0\0\x05'), /tar gid is 4294967301, expected/],
  ['a time that is no number', patched(136, 'xyz'), /tar mtime is not a number/],
  ['a device number that is no number', patched(329, 'xyz'), /tar devmajor is not a number/],
  [
    'a mode of an extended header that is no number',
    patched(100, 'xyz', withRecords({ path: 'other' })),
    /tar mode is not a number/,
  ],
  ['a pax time that is no number', withRecords({ mtime: 'now' }), /pax mtime is "now"/],
  ['a pax time above 2^53', withRecords({ mtime: '9'.repeat(16) }), /pax mtime is "9{16}"/],
  ['a time below -2^53', patched(136, `\xff${'\0'.repeat(11)}`), /tar mtime is out of range: -/],
  [
    'an entry after a lone block of zeros',
    Buffer.concat([file('a', 'x'), Buffer.alloc(TAR_BLOCK), archive(file('b', 'y'))]),
    /goes on after a lone block of zeros behind entry "a"$/,
  ],
  [
    'a lone block of zeros at the start',
    Buffer.concat([Buffer.alloc(TAR_BLOCK), archive(file('b', 'y'))]),
    /goes on after a lone block of zeros behind nothing$/,
  ],
  [
    'a part of a block after a lone block of zeros',
    Buffer.concat([file('a', 'x'), Buffer.alloc(TAR_BLOCK + 100)]),
    /ends within a header/,
  ],
  ['a name that is not UTF-8', patched(0, '\xff'), /not UTF-8/],
  ['an empty name', patched(0, '\0\0\0\0'), /name is empty/],
  ['a pax record without a length', pax('x path=a\n'), /without a length/],
  ['a pax record longer than the header', pax('99 path=a\n'), /needs 99 bytes/],
  ['a pax record without an end', pax('9 path=ab'), /without KEYWORD=VALUE/],
  ['a pax size that is not a number', pax('12 size=-1x\n'), /pax size is/],
  ['an xattr without a name', withRecords({ 'SCHILY.xattr.': 'x' }), /an xattr named ""/],
  [
    'a NUL in the name of an xattr',
    withRecords({ 'LIBARCHIVE.xattr.user.a%00b': 'YWJj' }),
    /an xattr named "user\.a\\u0000b"/,
  ],
  [
    'an xattr that is not base64',
    withRecords({ 'LIBARCHIVE.xattr.user.a': 'a b' }),
    /pax LIBARCHIVE\.xattr\.user\.a is not base64/,
  ],
  ['a sparse file', pax('25 GNU.sparse.size=1234\n\n'.slice(0, 25)), /sparse/],
  [
    'two extended headers of one entry',
    Buffer.concat([pax('10 path=a\n').subarray(0, 2 * TAR_BLOCK), pax('11 mtime=1\n')]),
    /two tar extended headers of type "x" before one entry$/,
  ],
  [
    'a long name of GNU tar beside the path of an extended header',
    Buffer.concat([pax('10 path=a\n').subarray(0, 2 * TAR_BLOCK), file('n'.repeat(120), 'x')]),
    /two tar extended headers with a name before one entry$/,
  ],
  [
    'an extended header without an entry',
    pax('10 path=a\n').subarray(0, 2 * TAR_BLOCK),
    /ends within/,
  ],
] as const) {
  test(`refused: ${name}`, () => {
    for (const size of [bytes.length, 13]) {
      assert.throws(() => read(bytes, size), { name: 'OstrataError', message });
    }
  });
}

test('refused: an extended header of 2 MiB, before its body is read', () => {
  const block = patched(124, (2 << 20).toString(8).padStart(11, '0'), patched(156, 'x'));
  assert.throws(() => read(block), { code: 'LIMIT', message: /extended header of 2097152 bytes/ });
});
