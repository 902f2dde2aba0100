/** Bytes and type strings that are not GVariants in normal form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OstrataError } from '../../../src/errors.js';
import { parseType } from '../../../src/ostree/gvariant/type.js';
import { decode, encode, type GVariantValue } from '../../../src/ostree/gvariant/value.js';
import { signatures, valuesOf } from '../../support/arbitrary-variant.js';

/** Bytes that are not the normal form of their type, and what the error must say. */
const MALFORMED: readonly (readonly [
  why: string,
  signature: string,
  hex: string,
  message: RegExp,
])[] = [
  ['a string without NUL', 's', '6162', /without one NUL/],
  ['an empty string of no bytes', 's', '', /without one NUL/],
  ['a NUL inside a string', 's', '61006200', /without one NUL/],
  ['text that is not UTF-8', 's', 'ff00', /UTF-8/],
  ['a boolean of 2', 'b', '02', /got 2/],
  ['an integer that is cut', 'u', '010203', /expected 4 bytes, got 3/],
  ['a fixed array with bytes left over', 'au', '0102030405', /no multiple of 4/],
  ['a fixed tuple with bytes left over', '(yu)', '0100000002000000ff', /expected 8 bytes, got 9/],
  ['padding that is not zero', '(yu)', '0101000002000000', /padding at 1/],
  ['an empty tuple that is not zero', '()', '01', /padding at 0/],
  ['a last offset past the end', 'as', '610009', /last framing offset 9/],
  ['offsets that decrease', 'as', '61006200040204', /member from 4 to 2/],
  ['a tuple offset past the end', '(ss)', '6100620009', /member from 0 to 9/],
  ['a tuple without room for offsets', '(sss)', '00', /no room for 2 offsets/],
  ['bytes after the last member', '(sy)', '6100ff0002', /1 bytes after the last member/],
  ['offsets that are wider than needed', 'as', `${'61'.repeat(253)}00fe00`, /too wide/],
  ['a variant without a type', 'v', '7878', /no NUL before the type string/],
  ['a variant of an unknown type', 'v', '780072', /unknown letter "r"/],
  ['a variant of two types', 'v', '7800007373', /goes on after one complete type/],
  ['a maybe without its zero byte', 'ms', '6101', /no zero byte/],
];

for (const [why, signature, hex, message] of MALFORMED) {
  test(`refused: ${why}`, () => {
    assert.throws(() => decode(signature, Buffer.from(hex, 'hex')), corrupt(message));
  });
}

test('a string that is not exactly one type is refused', () => {
  for (const signature of [
    '',
    'a',
    'm',
    '(',
    '(s',
    ')',
    '{s}',
    '{sss}',
    '{vs}',
    '{s',
    'ss',
    'z',
    `${'a'.repeat(70)}s`,
  ]) {
    assert.throws(() => parseType(signature), corrupt(/GVariant type string/), signature);
  }
  assert.throws(() => parseType(`(${'s'.repeat(300)})`), corrupt(/302 bytes, at most 255/));
});

test('variants may be nested 64 deep', () => {
  let value: GVariantValue = { type: 'y', value: 1 };
  for (let depth = 0; depth < 100; depth++) {
    value = { type: 'v', value };
  }
  assert.throws(() => decode('v', encode('v', value)), corrupt(/nested more than 64 deep/));
});

test('bytes that are accepted are encoded again as the same bytes', () => {
  const real = signatures.filter((signature) => !signature.includes('d')); // a NaN need not keep its bits
  const samples = real.chain((signature) =>
    fc.tuple(
      fc.constant(signature),
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc
          .tuple(valuesOf(signature), fc.nat(), fc.nat(0xff))
          .map(([value, at, byte]) => damaged(encode(signature, value), at, byte)),
      ),
    ),
  );
  let accepted = 0;
  fc.assert(
    fc.property(samples, ([signature, bytes]) => {
      let value: GVariantValue;
      try {
        value = decode(signature, bytes);
      } catch (error) {
        assert.ok(error instanceof OstrataError && error.code === 'CORRUPT', String(error));
        return;
      }
      accepted++;
      if (!holdsDouble(value)) {
        assert.deepEqual(Buffer.from(encode(signature, value)), Buffer.from(bytes));
      }
    }),
    { numRuns: 3000 },
  );
  assert.ok(accepted > 300, `${accepted} accepted`);
});

function damaged(bytes: Uint8Array, at: number, byte: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (copy.length > 0) {
    copy[at % copy.length] = byte;
  }
  return copy;
}

function holdsDouble(value: GVariantValue): boolean {
  if (value instanceof Uint8Array || typeof value !== 'object') {
    return false;
  }
  if ('type' in value) {
    return value.type.includes('d') || holdsDouble(value.value);
  }
  return value.some(holdsDouble);
}

function corrupt(message: RegExp) {
  return { name: 'OstrataError', code: 'CORRUPT', message };
}
