/** JSON from outside, checked against a schema. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as v from 'valibot';
import { decodeJson, parseJson } from '../../src/bytes/json.js';

const SCHEMA = v.object({ layers: v.array(v.object({ size: v.number() })) });

test('JSON that fits the schema is returned', () => {
  assert.deepEqual(parseJson('{"layers":[{"size":1}]}', SCHEMA), { layers: [{ size: 1 }] });
});

test('text that is not JSON is refused', () => {
  assert.throws(() => parseJson('{', SCHEMA), { code: 'CORRUPT', message: /^not JSON: / });
});

test('the error for JSON of another shape names the member', () => {
  assert.throws(() => parseJson('{"layers":[{"size":"1"}]}', SCHEMA), {
    code: 'CORRUPT',
    message: /^layers\.0\.size: /,
  });
  assert.throws(() => parseJson('1', SCHEMA), { code: 'CORRUPT', message: /^document: / });
});

test('64 levels of arrays and objects are read, 65 are refused', () => {
  const nested = (levels: number) => `${'[{"a":'.repeat(levels / 2)}1${'}]'.repeat(levels / 2)}`;
  const texts = [nested(66), `{"layers":[],"unknown":${nested(64)}}`, '['.repeat(4e6)];
  assert.ok(decodeJson(nested(64)));
  texts[2] += ']'.repeat(4e6);
  for (const text of texts) {
    assert.throws(() => parseJson(text, SCHEMA), {
      code: 'LIMIT',
      message: 'JSON with more than 64 levels',
    });
  }
});
