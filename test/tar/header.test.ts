/** Headers are judged by GNU tar, which lists and extracts what we write. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { TAR_BLOCK } from '../../src/tar/fields.js';
import {
  END_OF_ARCHIVE,
  encodeTarHeader,
  type TarEntry,
  tarPadding,
} from '../../src/tar/header.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const scratch = scratchDirectory();
const plain: TarEntry = { name: 'file', type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0 };

function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'latin1',
    env: { ...process.env, LC_ALL: 'C' },
  });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`);
  assert.equal(stderr, '');
  return stdout;
}

/** An archive of `entries` whose content is zeros. */
function archive(entries: readonly TarEntry[]): string {
  const path = join(scratch, 'archive.tar');
  const parts = entries.map((entry) => [
    encodeTarHeader(entry),
    Buffer.alloc(entry.size),
    tarPadding(entry.size),
  ]);
  writeFileSync(path, Buffer.concat([...parts.flat(), END_OF_ARCHIVE]));
  return path;
}

/** What `tar -tv` prints of each entry, the escapes of its names undone. */
function list(path: string): string[] {
  const options = ['--numeric-owner', '--quoting-style=c', '--full-time', '--utc'];
  const lines = run('tar', ['-tvf', path, ...options])
    .split('\n')
    .slice(0, -1);
  return lines.map((line) => line.replace(/ +/, ' ').replace(/(?<=^\S+ \S+) +/, ' '));
}

/** The line expected for `entry`. */
function line({ name, type, mode, uid, gid, size, linkname = '' }: TarEntry): string {
  const target = {
    file: '',
    directory: '',
    symlink: ` -> ${quoted(linkname)}`,
    link: ` link to ${quoted(linkname)}`,
  };
  return `${modeText(type, mode)} ${uid}/${gid} ${size} 1970-01-01 00:00:00 ${quoted(name)}${target[type]}`;
}

function modeText(type: TarEntry['type'], mode: number): string {
  // The letters of setuid, setgid and sticky: without and with the bit for execution.
  const special = ['Ss', 'Ss', 'Tt'];
  const groups = [6, 3, 0].map((shift, i) => {
    const bits = (mode >> shift) & 7;
    const isSpecial = ((mode >> (11 - i)) & 1) === 1;
    const letters = isSpecial ? special[i] : ['-', 'x'];
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${letters?.[bits & 1]}`;
  });
  return `${{ file: '-', link: 'h', symlink: 'l', directory: 'd' }[type]}${groups.join('')}`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  7: 'a',
  8: 'b',
  9: 't',
  10: 'n',
  11: 'v',
  12: 'f',
  13: 'r',
  34: '"',
  92: '\\',
};

/** GNU quoting style `c` in the C locale. */
function quoted(text: string): string {
  const bytes = [...Buffer.from(text)].map((byte) => {
    const short = ESCAPES[byte];
    if (short !== undefined) {
      return `\\${short}`;
    }
    return byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\${byte.toString(8).padStart(3, '0')}`;
  });
  return `"${bytes.join('')}"`;
}

/** A path component of any characters but NUL, `/` and lone surrogates; never `.` or `..`. */
const component = (maxLength: number) =>
  fc
    .oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength }),
      fc.string({ minLength: 1, maxLength }),
    )
    .map((text) => `n${text.replaceAll(/[\0/]/g, '_')}`);
const name = fc
  .array(component(130), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'));
const number = fc.oneof(
  fc.constantFrom(0, 0o7777777, 0o7777777 + 1, 262144, 4294967294),
  fc.nat(4294967294),
);
const entry: fc.Arbitrary<TarEntry> = fc
  .record({
    name,
    type: fc.constantFrom('file', 'link', 'symlink', 'directory'),
    mode: fc.nat(0o7777),
    uid: number,
    gid: number,
    size: fc.nat(2000),
    linkname: name,
  })
  .map(({ linkname, size, ...rest }) => {
    const isLink = rest.type === 'link' || rest.type === 'symlink';
    return {
      ...rest,
      size: rest.type === 'file' ? size : 0,
      linkname: isLink ? linkname : undefined,
    };
  });

suite('tar headers', needs('tar'), () => {
  test('GNU tar lists any names, links, modes, owners and sizes as they were given', () => {
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 60 }), (entries) => {
        assert.deepEqual(list(archive(entries)), entries.map(line));
      }),
      { numRuns: 25 },
    );
  });

  test('names of any length are listed, and take one block if they have at most 100 bytes', () => {
    const lengths = [99, 100, 101, 154, 155, 156, 255, 256, 257, 4000];
    const names = lengths.flatMap((length) => [
      'a'.repeat(length),
      `${'d'.repeat(50)}/${'a'.repeat(length - 51)}`,
      `${'d'.repeat(Math.max(1, length - 51))}/${'a'.repeat(50)}`,
    ]);
    const entries = names.flatMap((name): TarEntry[] => [
      { ...plain, name },
      { ...plain, name, type: 'directory', mode: 0 },
      { ...plain, name: 'l', type: 'link', linkname: name },
      { ...plain, name: 's', type: 'symlink', linkname: `${name}//x` },
    ]);
    assert.deepEqual(list(archive(entries)), entries.map(line));
    for (const name of names.filter((each) => each.length <= 100)) {
      assert.equal(
        encodeTarHeader({ ...plain, name }).length,
        TAR_BLOCK,
        'what fits needs no entry before it',
      );
    }
  });

  test('sizes of 8 GiB and more are read from the header', () => {
    for (const size of [8 * 2 ** 30 - 1, 8 * 2 ** 30, 9 * 2 ** 30]) {
      const path = join(scratch, 'sparse.tar');
      const big = { ...plain, name: 'big', size };
      const header = encodeTarHeader(big);
      const fd = openSync(path, 'w');
      writeSync(fd, header);
      ftruncateSync(fd, header.length + size + tarPadding(size).length);
      const last = { ...plain, name: 'last' };
      const tail = Buffer.concat([encodeTarHeader(last), END_OF_ARCHIVE]);
      writeSync(fd, tail, 0, tail.length, header.length + size + tarPadding(size).length);
      assert.deepEqual(list(path), [line(big), line(last)]);
    }
  });

  test('a name with a NUL is refused', () => {
    for (const change of [{ name: 'a\0b' }, { type: 'symlink', linkname: 'a\0b' } as const]) {
      assert.throws(() => encodeTarHeader({ ...plain, ...change }), {
        code: 'UNSUPPORTED',
        message: /cannot hold a NUL/,
      });
    }
  });
});

suite('extended attributes', needs('tar', 'attr'), () => {
  const attributes = fc.dictionary(
    fc.string({
      unit: fc.constantFrom('a', 'Z', '=', '%', '.', ' ', '%3D', 'é'),
      minLength: 1,
      maxLength: 20,
    }),
    fc.uint8Array({ maxLength: 600 }),
    { minKeys: 1, maxKeys: 5 },
  );
  test('GNU tar extracts xattrs of any names and binary values', () => {
    fc.assert(
      fc.property(attributes, (some) => {
        const xattrs = new Map(
          Object.entries(some).map(([name, value]) => [`user.${name}`, Buffer.from(value)]),
        );
        const path = archive([{ ...plain, xattrs }]);
        run('tar', ['-xf', path, '-C', scratch, '--xattrs', '--xattrs-include=*']);
        for (const [name, value] of xattrs) {
          const args = ['--only-values', '--absolute-names', '-n', name, join(scratch, 'file')];
          assert.deepEqual(Buffer.from(run('getfattr', args), 'latin1'), value, name);
        }
      }),
      { numRuns: 25 },
    );
  });
});

test('a uid or gid that does not fit into 32 bits is refused', () => {
  for (const id of [2 ** 32, -1, 1.5, Number.NaN]) {
    for (const change of [{ uid: id }, { gid: id }]) {
      assert.throws(() => encodeTarHeader({ ...plain, ...change }), {
        code: 'CORRUPT',
        message: /tar [ug]id is \S+, expected 0 to 4294967295$/,
      });
    }
  }
});

test('the fields of a plain header are where the specification places them', () => {
  const block = Buffer.from(
    encodeTarHeader({ ...plain, name: 'etc/passwd', mode: 0, uid: 1, gid: 2, size: 0o1234567 }),
  );
  const text = (from: number, length: number) =>
    block.subarray(from, from + length).toString('latin1');
  assert.equal(text(0, 11), 'etc/passwd\0');
  assert.deepEqual(
    [text(100, 8), text(108, 8), text(116, 8)],
    ['0000000\0', '0000001\0', '0000002\0'],
  );
  assert.deepEqual([text(124, 12), text(136, 12)], ['00001234567\0', '00000000000\0']);
  assert.equal(text(257, 8), 'ustar  \0', 'the magic of GNU tar');
  const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  assert.equal(text(148, 8), `${sum.toString(8).padStart(7, '0')}\0`);
});
