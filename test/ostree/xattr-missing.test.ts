import assert from 'node:assert/strict';
import Module from 'node:module';
import { test } from 'node:test';
import { getXattr, listXattrs } from '../../src/ostree/xattr.js';

/** Node's resolver of `require`, which has no public hook. */
const resolver = Module as unknown as { _resolveFilename(request: string, ...rest: unknown[]): string };

test('without koffi the error says what to install', () => {
  const original = resolver._resolveFilename;
  resolver._resolveFilename = (request, ...rest) => {
    if (request === 'koffi') throw Object.assign(new Error("Cannot find module 'koffi'"), { code: 'MODULE_NOT_FOUND' });
    return original.call(resolver, request, ...rest);
  };
  try {
    const error = { code: 'UNSUPPORTED', message: /needs the optional package koffi: npm install koffi/ };
    assert.throws(() => listXattrs('/'), error);
    assert.throws(() => getXattr('/', 'user.x'), error);
  } finally {
    resolver._resolveFilename = original;
  }
});
