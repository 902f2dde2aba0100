// What works and what fails if the optional package koffi is not installed.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, utimesSync } from 'node:fs';
import Module from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pullImage } from '../../src/client/pull.js';
import { previewImport } from '../../src/client/session.js';
import { unencapsulate } from '../../src/client/unencapsulate.js';
import { objectSet } from '../../src/ostree/objects/object-set.js';
import { openRepo } from '../../src/ostree/repo.js';
import { RepoWriter } from '../../src/ostree/write/writer.js';
import { makeTemporaryDirectory } from '../../src/system/temporary-directory.js';
import { getXattr, listXattrs } from '../../src/system/xattr.js';
import { RepoBuilder } from '../support/build-repo.js';
import { importOptions } from '../support/import-image.js';
import { scratchDirectory } from '../support/scratch.js';

/** Node's resolver of `require`, which has no public hook. */
const resolver = Module as unknown as {
  _resolveFilename(request: string, ...rest: unknown[]): string;
};

const original = resolver._resolveFilename;

before(() => {
  resolver._resolveFilename = (request, ...rest) => {
    if (request === 'koffi') {
      throw Object.assign(new Error("Cannot find module 'koffi'"), { code: 'MODULE_NOT_FOUND' });
    }
    return original.call(resolver, request, ...rest);
  };
});
after(() => {
  resolver._resolveFilename = original;
});

test('the error for a missing koffi says what to install', () => {
  const error = {
    code: 'UNSUPPORTED',
    message: /needs the optional package koffi: npm install koffi/,
  };
  assert.throws(() => listXattrs('/'), error);
  assert.throws(() => getXattr('/', 'user.x'), error);
});

test('an archive repository can be written and synced without koffi', async () => {
  const { path } = new RepoBuilder('archive', '', scratchDirectory());
  const objects = objectSet([]);
  const { checksum } = objects[2];
  const writer = await RepoWriter.open(path, { fsync: true });
  writer.commit([writer.stageMetadata(objects)], [['a/ref', checksum]]);
  writer.close();
  const repo = openRepo(path);
  assert.equal(repo.resolve('a/ref'), checksum);
  repo.loadDirtree(repo.loadCommit(checksum).parsed.dirtree);
});

test('an abandoned directory is removed after a week without koffi', () => {
  const scratch = scratchDirectory();
  const [recent, old] = [0, 1].map(() => makeTemporaryDirectory('ostrata-', scratch).path);
  assert.ok(recent !== undefined && old !== undefined);
  assert.deepEqual(readdirSync(old), ['.ostrata-unlocked']);
  utimesSync(join(old, '.ostrata-unlocked'), 1000, 1000);
  makeTemporaryDirectory('ostrata-', scratch);
  assert.deepEqual([existsSync(recent), existsSync(old)], [true, false]);
});

test('a pull into a bare-user repository fails before the image is opened', async () => {
  const { path } = new RepoBuilder('bare-user', '', scratchDirectory());
  const imports = importOptions(path, 'oci:does/not/exist');
  for (const step of [pullImage, unencapsulate, previewImport]) {
    await assert.rejects(step(imports), { code: 'UNSUPPORTED', message: /koffi/ });
  }
});
