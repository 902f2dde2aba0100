/** Random GVariant types and values, for property tests. */
import fc from 'fast-check';
import { type GVariantType, parseType } from '../../src/ostree/gvariant/type.js';
import type { GVariantValue } from '../../src/ostree/gvariant/value.js';

const letters = fc.constantFrom(...'bynqiuxtdhsogv');

/** Random type strings, with at most three containers inside each other. */
export const signatures: fc.Arbitrary<string> = fc.letrec<{ type: string }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    letters,
    tie('type').map((type) => `a${type}`),
    tie('type').map((type) => `m${type}`),
    fc.array(tie('type'), { maxLength: 4 }).map((types) => `(${types.join('')})`),
    fc.tuple(fc.constantFrom(...'bynqiuxtds'), tie('type')).map(([key, type]) => `{${key}${type}}`),
  ),
})).type;

const text = fc
  .string({ unit: 'binary', maxLength: 12 })
  .map((value) => value.replaceAll('\0', ''));
const bits = (count: number) => fc.bigInt(0n, (1n << BigInt(count)) - 1n);
const basics: Readonly<Record<string, fc.Arbitrary<GVariantValue>>> = {
  b: fc.boolean(),
  y: fc.nat(0xff),
  n: fc.integer({ min: -0x8000, max: 0x7fff }),
  q: fc.nat(0xffff),
  i: fc.integer(),
  h: fc.integer(),
  u: fc.integer({ min: 0, max: 0xffffffff }),
  x: bits(64).map((value) => BigInt.asIntN(64, value)),
  t: bits(64),
  d: fc.double({ noNaN: true }),
  s: text,
  o: text,
  g: text,
};

/** Random values of the type `signature`; a value inside a variant has one of the types `inner`. */
export function valuesOf(
  signature: string,
  inner: readonly string[] = ['s', 'u', 'as', '(yt)'],
): fc.Arbitrary<GVariantValue> {
  return valuesOfType(parseType(signature), inner);
}

function valuesOfType(type: GVariantType, inner: readonly string[]): fc.Arbitrary<GVariantValue> {
  const basic = basics[type.signature];
  if (basic) {
    return basic;
  }
  if (type.signature === 'ay') {
    return fc.uint8Array({ maxLength: 300 });
  }
  if (type.kind === 'variant') {
    return fc
      .constantFrom(...inner)
      .chain((signature) =>
        valuesOf(signature, ['y']).map((value) => ({ type: signature, value })),
      );
  }
  const members = type.members.map((member) => valuesOfType(member, inner));
  if (type.kind === 'tuple') {
    return fc.tuple(...members);
  }
  return fc.array(members[0] as fc.Arbitrary<GVariantValue>, {
    maxLength: type.kind === 'maybe' ? 1 : 8,
  });
}
