/** Any text as the name of a ref, escaped as other tools escape it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeForRef, unescapeRef } from '../../src/ostree/ref-escape.js';
import { isRefName } from '../../src/ostree/refs.js';

/** As bootc's ostree-ext escapes them (its documentation and tests). */
const KNOWN: Readonly<Record<string, string>> = {
  foo: 'foo',
  'foo/bar/baz-blah/foo': 'foo/bar/baz-blah/foo',
  'registry:quay.io/coreos/fedora:latest': 'registry_3A_quay_2E_io/coreos/fedora_3A_latest',
  'docker://quay.io/os': 'docker_3A__2F__2F_quay_2E_io/os',
  'sha256:0a': 'sha256_3A_0a',
  foo_bar: 'foo__bar',
  'foo/': 'foo_2F_',
  '/foo': '_2F_foo',
  'foo//bar': 'foo/_2F_bar',
  _: '__',
};

test('names are escaped as ostree-ext escapes them, and unescaped', () => {
  for (const [text, escaped] of Object.entries(KNOWN)) {
    assert.equal(escapeForRef(text), escaped);
    assert.equal(unescapeRef(escaped), text);
  }
});

test('any text is escaped to the name of a ref, and unescaped to the same text', () => {
  const text = fc.string({ unit: 'binary', minLength: 1 }).filter((each) => !each.includes('\0'));
  fc.assert(
    fc.property(text, (each) => {
      assert.equal(unescapeRef(escapeForRef(each)), each);
      assert.ok(
        isRefName(`prefix/${escapeForRef(each)}`) || /\/-|^-|\/$/.test(`/${escapeForRef(each)}`),
      );
    }),
  );
});

test('names that escaping never produces, and text that it cannot escape, are refused', () => {
  for (const text of ['a_b', 'a:b', '_XX_', 'a_3A', '_110000_']) {
    assert.throws(() => unescapeRef(text), { code: 'CORRUPT' });
  }
  for (const text of ['', 'a\0b']) {
    assert.throws(() => escapeForRef(text), { code: 'USAGE' });
  }
});
