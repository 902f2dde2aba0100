// Image references, `TRANSPORT:LOCATION`, and the locations of OCI image layouts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseImgref } from '../../src/transports/image-reference.js';
import { splitTag } from '../../src/transports/oci/location.js';

test('the transport is the part before the first colon', () => {
  for (const name of ['oci', 'oci-archive']) {
    const { transport, location } = parseImgref(`${name}:a/b:c`);
    assert.deepEqual([transport.name, location], [name, 'a/b:c']);
  }
});

test('a reference without a known transport is refused, listing the known forms', () => {
  for (const imgref of ['', 'x', ':x', 'nothing:x', 'OCI:x', 'constructor:x']) {
    assert.throws(
      () => parseImgref(imgref),
      { code: 'USAGE', message: /expected .*oci:DIR\[:TAG\]/ },
      imgref,
    );
  }
});

test('a reference without a known transport names the reference that may be meant', () => {
  const meant: readonly (readonly [given: string, meant: string])[] = [
    ['quay.io/os/base:40', 'registry:quay.io/os/base:40'],
    ['localhost:5000/base', 'registry:localhost:5000/base'],
    ['ocl:image:1', 'oci:image:1'],
    ['oci_archive:file', 'oci-archive:file'],
    ['regsitry:quay.io/base', 'registry:quay.io/base'],
    ['./image:1', 'oci:./image:1 or oci-archive:./image:1'],
  ];
  for (const [given, expected] of meant) {
    assert.throws(
      () => parseImgref(given),
      (error: Error) => error.message.endsWith(`; did you mean ${expected}?`),
    );
  }
});

test('a path ends at the first colon, and a tag may contain colons', () => {
  assert.deepEqual(splitTag('a/b'), { path: 'a/b', tag: undefined });
  assert.deepEqual(splitTag('a/b:v1'), { path: 'a/b', tag: 'v1' });
  assert.deepEqual(splitTag('/a:host:5000/x'), { path: '/a', tag: 'host:5000/x' });
  for (const rest of ['', ':', ':tag', 'path:']) {
    assert.throws(() => splitTag(rest), { code: 'USAGE', message: /PATH\[:TAG\]/ });
  }
});
