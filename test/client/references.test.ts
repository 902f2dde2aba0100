/** References of images: one notation in all commands, and what is known to fail is not fetched. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { pullImage } from '../../src/client/pull.js';
import { previewImport } from '../../src/client/session.js';
import {
  canonicalImgref,
  parseOstreeImgref,
} from '../../src/client/verify/ostree-image-reference.js';
import { forgePlain } from '../support/forge-image.js';
import { importOptions, newRepo } from '../support/import-image.js';
import { ostrata, tryOstrata } from '../support/run.js';

test('a reference without a prefix is verified by its digests only', () => {
  const { imgref, verification } = parseOstreeImgref('docker://quay.io/os/base:40');
  assert.equal(imgref, 'docker://quay.io/os/base:40');
  assert.deepEqual(verification, { kind: 'none' });
});

test('lists have one form for all ways to write a reference', () => {
  for (const reference of [
    'docker://quay.io/os:1',
    'registry:quay.io/os:1',
    'ostree-unverified-registry:quay.io/os:1',
    'ostree-unverified-image:docker://quay.io/os:1',
    'ostree-remote-registry:builder:quay.io/os:1',
    'ostree-image-signed:registry:quay.io/os:1',
  ]) {
    assert.equal(canonicalImgref(reference), 'docker://quay.io/os:1');
  }
});

test('an unknown prefix is refused with the nearest one', () => {
  const error = { code: 'USAGE', message: /; did you mean ostree-image-signed\?$/ };
  assert.throws(() => parseOstreeImgref('ostree-image-singed:oci:x'), error);
});

suite('what "image list" prints', () => {
  const repo = newRepo();
  const { imgref } = forgePlain([[{ name: 'usr/a', type: 'file', content: Buffer.from('a') }]]);
  const image = ['container', 'image'];

  test('is taken by "image pull", with a warning that nothing vouches for the image', () => {
    const { status, stderr } = tryOstrata([...image, 'pull', repo, imgref]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^warning: oci:.* is verified by its digests only; /m);
    const prefixed = tryOstrata([...image, 'pull', repo, `ostree-unverified-image:${imgref}`]);
    assert.doesNotMatch(prefixed.stderr, /warning/);
    assert.equal(ostrata([...image, 'list', `--repo=${repo}`]), `${imgref}\n`);
  });

  test('is taken by all other commands, which also take what was pulled', () => {
    for (const reference of [imgref, `ostree-unverified-image:${imgref}`]) {
      for (const command of [['verify'], ['inspect'], ['container', 'info']]) {
        ostrata([...command, reference]);
      }
      for (const name of ['history', 'metadata']) {
        ostrata([...image, name, `--repo=${repo}`, reference]);
      }
    }
  });

  test('is suggested for a mistyped reference', () => {
    const { status, stderr } = tryOstrata([...image, 'remove', `--repo=${repo}`, `${imgref}x`]);
    assert.equal(status, 1);
    assert.ok(stderr.endsWith(`; did you mean ${imgref}?\n`), stderr);
    ostrata([...image, 'remove', `--repo=${repo}`, `ostree-image-signed:${imgref}`]);
    assert.equal(ostrata([...image, 'list', `--repo=${repo}`]), '');
  });
});

test('a remote that does not exist is refused before the image is opened', async () => {
  const options = importOptions(newRepo(), 'oci:does/not/exist');
  const source = parseOstreeImgref('ostree-remote-image:missing:oci:does/not/exist');
  for (const step of [pullImage, previewImport]) {
    await assert.rejects(step({ ...options, source }), {
      code: 'NOT_FOUND',
      message: /^no remote "missing" in /,
    });
  }
});
