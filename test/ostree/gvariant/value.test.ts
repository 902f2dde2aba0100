/** Encodes and decodes values, among them the examples of the specification. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decode,
  encode,
  type GVariantValue,
  join,
  split,
  swap32,
  swap64,
} from '../../../src/ostree/gvariant/value.js';
import { signatures, valuesOf } from '../../support/arbitrary-variant.js';

/** Examples of the specification, section 2.5 and "Byte Boundaries", with their bytes. */
const EXAMPLES: readonly (readonly [signature: string, value: GVariantValue, hex: string])[] = [
  ['s', 'hello world', '68656c6c6f20776f726c6400'],
  ['ms', ['hello world'], '68656c6c6f20776f726c640000'],
  ['ms', [], ''],
  ['ab', [true, false, false, true, true], '0100000101'],
  ['(si)', ['foo', -1], '666f6f00ffffffff04'],
  [
    'a(si)',
    [
      ['hi', -2],
      ['bye', -1],
    ],
    '68690000feffffff0300000062796500ffffffff040915',
  ],
  ['as', ['i', 'can', 'has', 'strings?'], '690063616e0068617300737472696e67733f0002060a13'],
  [
    '((ys)as)',
    [
      [0x69, 'can'],
      ['has', 'strings?'],
    ],
    '6963616e0068617300737472696e67733f00040d05',
  ],
  ['(yy)', [0x70, 0x80], '7080'],
  ['(iy)', [96, 0x70], '6000000070000000'],
  [
    'a(iy)',
    [
      [96, 0x70],
      [648, 0xf7],
    ],
    '600000007000000088020000f7000000',
  ],
  ['ay', Uint8Array.of(4, 5, 6, 7), '04050607'],
  ['ai', [4, 258], '0400000002010000'],
  ['{si}', ['a key', 514], '61206b65790000000202000006'],
  ['()', [], '00'],
  ['v', { type: 's', value: 'x' }, '78000073'],
];

for (const [signature, value, hex] of EXAMPLES) {
  test(`the example ${signature} of the specification is encoded as ${hex || 'no bytes'}`, () => {
    assert.equal(Buffer.from(encode(signature, value)).toString('hex'), hex);
    assert.deepEqual(plain(decode(signature, Buffer.from(hex, 'hex'))), plain(value));
  });
}

test('framing offsets are as wide as the size of the container needs', () => {
  for (const [length, width] of [
    [252, 1],
    [253, 2],
    [254, 2],
    [65531, 2],
    [65532, 4],
    [70000, 4],
  ] as const) {
    const value = ['a'.repeat(length - 1), 'b'];
    const encoded = encode('(ss)', value);
    assert.equal(encoded.length, length + 2 + width);
    assert.deepEqual(decode('(ss)', encoded), value);
  }
});

test('an array of 40,000 strings is decoded to the same strings', () => {
  const value = Array.from({ length: 40_000 }, (_, index) => `name ${index}`);
  assert.deepEqual(decode('as', encode('as', value)), value);
});

test('any value of any type is decoded to the same value', () => {
  const samples = signatures.chain((signature) =>
    fc.tuple(fc.constant(signature), valuesOf(signature)),
  );
  fc.assert(
    fc.property(samples, ([signature, value]) => {
      assert.deepEqual(plain(decode(signature, encode(signature, value))), plain(value));
    }),
  );
});

test('a container that is split and joined has the same bytes', () => {
  const tuples = fc
    .array(signatures, { minLength: 1, maxLength: 4 })
    .map((types) => `(${types.join('')})`);
  const containers = fc.oneof(
    tuples,
    signatures.map((type) => `a${type}`),
  );
  const samples = containers.chain((signature) =>
    fc.tuple(fc.constant(signature), valuesOf(signature)),
  );
  fc.assert(
    fc.property(samples, ([signature, value]) => {
      const bytes = encode(signature, value);
      assert.deepEqual(Buffer.from(join(signature, split(signature, bytes))), Buffer.from(bytes));
    }),
  );
});

test('swapping bytes gives what DataView reads in the other byte order', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.bigInt(0n, (1n << 64n) - 1n),
      (small, large) => {
        const view = new DataView(new ArrayBuffer(12));
        view.setUint32(0, small);
        view.setBigUint64(4, large);
        assert.equal(swap32(small), view.getUint32(0, true));
        assert.equal(swap64(large), view.getBigUint64(4, true));
      },
    ),
  );
});

test('a value that does not fit its type is refused', () => {
  const misfits: [string, GVariantValue][] = [
    ['y', 256],
    ['u', -1],
    ['n', 40_000],
    ['i', 1.5],
    ['t', -1n],
    ['b', 1],
    ['d', 'x'],
    ['s', 'a\0b'],
    ['s', '\ud800'],
    ['s', 1],
    ['as', 'text'],
    ['(ss)', ['one']],
    ['ms', ['one', 'two']],
  ];
  for (const [signature, value] of misfits) {
    assert.throws(() => encode(signature, value), TypeError, `${signature} ${String(value)}`);
  }
  assert.throws(() => join('(u)', [new Uint8Array(3)]), TypeError);
});

/** Byte strings as Buffers, so that views and copies compare equal. */
function plain(value: GVariantValue): unknown {
  if (value instanceof Uint8Array) {
    return [...value];
  }
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (typeof value === 'object' && 'type' in value) {
    return { type: value.type, value: plain(value.value) };
  }
  return value;
}
