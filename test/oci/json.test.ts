// Canonical JSON and digests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';

const text = (value: unknown) => Buffer.from(canonicalJson(value)).toString();

test('members are sorted by the bytes of their names, even names that look like numbers', () => {
  assert.equal(
    text({ b: 1, a: [{ z: null, y: true }], 10: 'x', 9: 'y' }),
    '{"10":"x","9":"y","a":[{"y":true,"z":null}],"b":1}',
  );
  assert.equal(text({ '\u{10000}': 1, '\uffff': 2 }), '{"\uffff":2,"\u{10000}":1}');
  assert.equal(text(JSON.parse('{"__proto__":1}')), '{"__proto__":1}');
});

test('undefined members are left out', () => {
  assert.equal(text({ a: undefined, b: [undefined, 1] }), '{"b":[null,1]}');
});

test('the result is JSON, and equal values become equal bytes', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const plain = JSON.parse(JSON.stringify(value));
      assert.deepEqual(JSON.parse(text(value)), plain);
      assert.equal(text(reversed(plain)), text(plain));
    }),
  );
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(reversed);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, each]) => [name, reversed(each)]),
  );
}

test('the digest of empty bytes is that of the specification', () => {
  assert.equal(
    sha256Digest(new Uint8Array()),
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  );
});
