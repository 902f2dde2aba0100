/** Reads sparse files that GNU tar and Go's tests have written, and maps that lie. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { sha256Digest } from '../../src/oci/json.js';
import type { TarHeader } from '../../src/tar/entry.js';
import { END_OF_ARCHIVE } from '../../src/tar/header.js';
import { TarReader } from '../../src/tar/reader.js';
import type { Extent } from '../../src/tar/sparse.js';
import { run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import {
  encodeSparse,
  encodeSparseRecords,
  expand,
  header,
  SPARSE_FORM_NAMES,
  SPARSE_FORMS,
  type SparseFile,
  type SparseForm,
  stateChecksum,
  writeWithHoles,
} from '../support/sparse-tar.js';
import { needs } from '../support/tools.js';

interface Entry {
  readonly header: TarHeader;
  readonly content: Buffer;
  /** The content as it lies in the archive. */
  readonly stored: Buffer;
}

/** Reads an archive that arrives in chunks of `size` bytes. */
function read(archive: Buffer, size = archive.length): Entry[] {
  const entries: Entry[] = [];
  let current: TarHeader | undefined;
  let parts: Buffer[] = [];
  const reader = new TarReader({
    entry: (next) => {
      current = next;
      parts = [];
    },
    content: (bytes) => parts.push(Buffer.from(bytes)),
    entryEnd: () => {
      assert.ok(current);
      const { contentOffset } = reader;
      const stored = archive.subarray(contentOffset, contentOffset + current.storedSize);
      entries.push({ header: current, content: Buffer.concat(parts), stored });
    },
  });
  for (let at = 0; at < archive.length; at += size) {
    reader.push(archive.subarray(at, at + size));
  }
  reader.end();
  return entries;
}

/** Asserts that the stored content is the data of the extents, and that it expands to `content`. */
function assertExpands({ header: found, content, stored }: Entry, expected: Buffer): void {
  assert.ok(content.equals(expected), `the content of ${found.name}`);
  assert.equal(found.size, expected.length);
  assert.ok(found.extents, `${found.name} is sparse`);
  const { name, size, extents } = found;
  assert.ok(expand({ name, size, extents, data: stored }).equals(expected), 'by its extents');
}

const end = Buffer.from(END_OF_ARCHIVE);

/** A file of random holes and data, of whole blocks as GNU tar writes them or of any length. */
const sparseFile = (unit: number): fc.Arbitrary<SparseFile> => {
  const pair = fc.tuple(fc.nat(20), fc.nat(20));
  return fc
    .record({ pairs: fc.array(pair, { minLength: 1, maxLength: 60 }), hole: fc.nat(20) })
    .map(({ pairs, hole }) => {
      const extents: Extent[] = [];
      let position = 0;
      for (const [gap, length] of pairs) {
        const offset = position + gap * unit;
        extents.push({ offset, length: length * unit });
        position = offset + length * unit;
      }
      const total = extents.reduce((sum, { length }) => sum + length, 0);
      const data = Buffer.from(Array.from({ length: total }, (_, i) => 1 + (i % 251)));
      return { name: 'sparse', extents, size: position + hole * unit, data };
    });
};

suite('a sparse file', () => {
  for (const form of SPARSE_FORM_NAMES) {
    test(`of the form ${form} is expanded, in chunks of any size`, () => {
      const files = fc.array(fc.oneof(sparseFile(512), sparseFile(1)), { maxLength: 3 });
      fc.assert(
        fc.property(files, fc.integer({ min: 1, max: 3000 }), (sparse, size) => {
          const archive = Buffer.concat([...sparse.map((each) => encodeSparse(each, form)), end]);
          const entries = read(archive, size);
          assert.equal(entries.length, sparse.length);
          for (const [i, entry] of entries.entries()) {
            const file = sparse[i];
            assert.ok(file);
            assert.equal(entry.header.name, 'sparse');
            assertExpands(entry, expand(file));
            const withData = file.extents.filter(({ length }) => length > 0);
            assert.deepEqual(entry.header.extents, withData);
          }
        }),
        { numRuns: 60 },
      );
    });
  }

  test('has holes of any size, which are passed on in steps', () => {
    const size = (64 << 20) + 7;
    const file = { name: 'a', size, extents: [{ offset: size - 3, length: 3 }] };
    const archive = encodeSparse({ ...file, data: Buffer.from('end') }, '1.0');
    let length = 0;
    let largest = 0;
    const reader = new TarReader({
      entry: () => {},
      content: (bytes) => {
        length += bytes.length;
      },
      entryEnd: () => {},
    });
    let before = 0;
    for (const _ of reader.steps(archive)) {
      largest = Math.max(largest, length - before);
      before = length;
    }
    assert.equal(length, size);
    assert.equal(largest, 16 << 20);
  });
});

const DIGESTS = `
import hashlib, sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    for each in tar:
        print('sha256:' + hashlib.sha256(tar.extractfile(each).read()).hexdigest())`;

suite('a sparse file of GNU tar', needs('tar', 'python'), () => {
  const tree = scratchDirectory();
  const files: Readonly<Record<string, Buffer>> = {
    hole: Buffer.alloc(100_000),
    start: Buffer.concat([Buffer.alloc(5000, 'x'), Buffer.alloc(50_000)]),
    end: Buffer.concat([Buffer.alloc(50_000), Buffer.from('end')]),
    // More extents than a header block and one block behind it can hold.
    many: Buffer.concat(Array.from({ length: 90 }, (_, i) => Buffer.alloc(4096, i % 2))),
    [`d/${'n'.repeat(150)}`]: Buffer.concat([Buffer.alloc(8192), Buffer.alloc(512, 'y')]),
  };
  mkdirSync(join(tree, 'd'));
  for (const [name, content] of Object.entries(files)) {
    writeWithHoles(join(tree, name), content);
  }

  for (const form of SPARSE_FORM_NAMES) {
    test(`of the form ${form} is read as GNU tar and Python read it`, () => {
      const scratch = scratchDirectory();
      const path = join(scratch, 'a.tar');
      const create = ['--create', '--sparse', '--hole-detection=raw', ...SPARSE_FORMS[form]];
      run('tar', [...create, `--file=${path}`, '-C', tree, ...Object.keys(files)]);
      run('tar', ['--extract', `--file=${path}`, '-C', scratch]);

      const archive = readFileSync(path);
      for (const size of [archive.length, 1000]) {
        const entries = read(archive, size);
        assert.deepEqual(
          entries.map((entry) => entry.header.name),
          Object.keys(files),
        );
        for (const entry of entries) {
          assertExpands(entry, readFileSync(join(scratch, entry.header.name)));
        }
      }
      const python = run('python3', ['-c', DIGESTS, path]);
      const digests = Object.values(files).map((content) => sha256Digest(content));
      assert.deepEqual(python.trim().split('\n'), digests);
    });
  }
});

/** A file of 10,000 bytes with these extents, whose stored content has `length` bytes. */
const mapped = (form: SparseForm, pairs: readonly (readonly [number, number])[], length: number) =>
  encodeSparse(
    {
      name: 'a',
      size: 10_000,
      extents: pairs.map(([offset, size]) => ({ offset, length: size })),
      data: Buffer.alloc(length, 'x'),
    },
    form,
  );

const OVERLAPS = /^entry "a": sparse file: its extents overlap or exceed its size/;
for (const form of SPARSE_FORM_NAMES) {
  for (const [name, pairs, length, message] of [
    [
      'extents that overlap',
      [
        [0, 600],
        [512, 512],
      ],
      1112,
      OVERLAPS,
    ],
    [
      'extents that descend',
      [
        [1024, 512],
        [0, 512],
      ],
      1024,
      OVERLAPS,
    ],
    ['an extent beyond the end', [[9999, 2]], 2, OVERLAPS],
    ['an extent that begins beyond the end', [[10_001, 0]], 0, OVERLAPS],
    ['more data than its extents have', [[0, 512]], 513, /: 512 bytes in its extents, 513 in the/],
    ['less data than its extents have', [[0, 512]], 511, /: 512 bytes in its extents, 511 in the/],
  ] as const) {
    test(`refused: a sparse file of the form ${form} with ${name}`, () => {
      assert.throws(() => read(mapped(form, pairs, length)), { code: 'CORRUPT', message });
    });
  }

  test(`refused: more than 64 GiB of holes in all files of the form ${form}`, () => {
    const size = 2 ** 33 - 1;
    const file = { name: 'a', size, extents: [{ offset: size, length: 0 }], data: Buffer.alloc(0) };
    const reader = new TarReader({ entry: () => {}, content: () => {}, entryEnd: () => {} });
    const entry = encodeSparse(file, form);
    for (let i = 0; i < 8; i++) {
      reader.steps(entry).next();
      reader.skip();
    }
    const message = /^entry "a": tar archive expands without end: .* more than 68719476736 bytes$/;
    assert.throws(() => reader.push(entry), { code: 'LIMIT', message });
  });
}

test('refused: more than a million extents', () => {
  const extents = Array.from({ length: 2 ** 20 + 1 }, (_, i) => ({ offset: i * 2, length: 1 }));
  const data = Buffer.alloc(extents.length);
  const file = { name: 'a', size: 2 ** 22, extents, data };
  assert.throws(() => read(encodeSparse(file, '1.0')), {
    code: 'LIMIT',
    message: /1048576 extents/,
  });
});

/** An entry of one block behind an extended header with these records. */
const described = (records: readonly (readonly [string, unknown])[], flag = '0', content = '') => {
  const block = Buffer.alloc(512);
  block.write(content, 'latin1');
  return Buffer.concat([encodeSparseRecords(records), header('a', flag, 512), block, end]);
};
const V1 = [
  ['major', 1],
  ['minor', 0],
  ['realsize', 1000],
] as const;
const star = () => {
  const block = header('a', 'S', 0);
  block.write('ustar\x0000', 257, 'latin1');
  stateChecksum(block);
  return block;
};
/** GNU tar passes over the expanded size of such an entry, and so misses those that follow. */
const gnu = () => {
  const map = encodeSparseRecords([...V1.slice(2), ['numblocks', 1], ['map', '0,512']]);
  const block = header('a', '0', 512);
  block.write('ustar  \0', 257, 'latin1');
  stateChecksum(block);
  return Buffer.concat([map, block, Buffer.alloc(512), end]);
};
for (const [name, archive, message] of [
  ['a map in records before a header of GNU tar', gnu(), /map in records and no POSIX header/],
  ['an unknown version', described([['major', 2]]), /of version 2\.undefined without a map/],
  ['a name without a map', described([['name', 'b']]), /of version 0 without a map/],
  ['two maps', described([...V1, ['map', '0,1']]), /of version 1\.0 with a map in its extended/],
  ['no size', described(V1.slice(0, 2)), /does not state its size/],
  ['a map that is no number', described(V1, '0', '1\nx\n'), /sparse map is "x"/],
  ['a map with an endless number', described(V1, '0', '1'.repeat(400)), /sparse map is "11111/],
  ['a map of NULs', described(V1), /sparse map is "\\u0000/],
  ['a map beyond its content', described(V1, '0', '99999\n0\n1\n'), /sparse map is|ends within/],
  ['a length without an offset', described([['numbytes', 1]]), /an offset without a length/],
  [
    'another number of extents',
    described([
      ['size', 9],
      ['numblocks', 2],
      ['map', '0,1'],
    ]),
    /2 offsets and lengths of 2 extents/,
  ],
  ['a directory', described(V1, '5'), /sparse file that is a directory/],
  ['the format of star', star(), /in a format other than that of GNU tar/],
] as const) {
  test(`refused: a sparse file with ${name}`, () => {
    assert.throws(() => read(archive), { name: 'OstrataError', message });
  });
}
