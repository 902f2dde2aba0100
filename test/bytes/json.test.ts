/** JSON from outside, checked against a schema. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';

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
