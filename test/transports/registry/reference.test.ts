// Names of images in registries.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseImgref, registryHost } from '../../../src/transports/image-reference.js';
import { parseReference } from '../../../src/transports/registry/reference.js';

const digest = `sha256:${'a'.repeat(64)}`;

test('names of images are parsed as podman parses them', () => {
  for (const [text, host, repository, rest] of [
    ['quay.io/os/base', 'quay.io', 'os/base', { tag: 'latest' }],
    ['quay.io/os/base:40.1_x-Y', 'quay.io', 'os/base', { tag: '40.1_x-Y' }],
    ['localhost/base', 'localhost', 'base', { tag: 'latest' }],
    ['localhost:5000/a/b__c/d---e:v1', 'localhost:5000', 'a/b__c/d---e', { tag: 'v1' }],
    ['[::1]:5000/base:1', '[::1]:5000', 'base', { tag: '1' }],
    [`127.0.0.1/base@${digest}`, '127.0.0.1', 'base', { digest }],
    [`quay.io/base:tag@${digest}`, 'quay.io', 'base', { digest }],
    ['fedora', 'docker.io', 'library/fedora', { tag: 'latest' }],
    ['fedora/base:40', 'docker.io', 'fedora/base', { tag: '40' }],
    ['index.docker.io/fedora', 'docker.io', 'library/fedora', { tag: 'latest' }],
    ['Host/base', 'Host', 'base', { tag: 'latest' }],
  ] as const) {
    assert.deepEqual(parseReference(text), { host, repository, ...rest }, text);
  }
});

test('a malformed name is refused, naming the part that is wrong', () => {
  for (const [text, message] of [
    ['', /path/],
    ['quay.io/', /path/],
    ['quay.io/Base', /path/],
    ['quay.io/a//b', /path/],
    ['quay.io/../etc', /path/],
    ['quay.io/a/./b', /path/],
    ['quay.io/a b', /path/],
    ['quay.io/a?x=y', /path/],
    ['quay.io/a%2e', /path/],
    ['user@quay.io/a', /after @/],
    ['quay.io:99999x/a', /host/],
    ['-x.io/a', /host/],
    ['quay.io/a:', /tag/],
    ['quay.io/a:b/c:d', /path|host/],
    ['quay.io/a:.x', /tag/],
    [`quay.io/a:${'x'.repeat(129)}`, /tag/],
    ['quay.io/a@sha256:12', /after @/],
    [`quay.io/${'a'.repeat(260)}`, /255/],
  ] as const) {
    assert.throws(() => parseReference(text), { code: 'USAGE', message }, text);
  }
});

test('registry: and docker:// name the same image', () => {
  for (const imgref of ['registry:quay.io/a:b', 'registry://quay.io/a:b', 'docker://quay.io/a:b']) {
    assert.equal(registryHost(imgref), 'quay.io', imgref);
  }
  assert.throws(() => parseImgref('docker:quay.io/a'), { code: 'USAGE', message: /docker:\/\// });
  assert.equal(registryHost('oci:quay.io'), undefined);
});
