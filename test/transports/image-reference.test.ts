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

test('a path ends at the first colon, and a tag may contain colons', () => {
  assert.deepEqual(splitTag('a/b'), { path: 'a/b', tag: undefined });
  assert.deepEqual(splitTag('a/b:v1'), { path: 'a/b', tag: 'v1' });
  assert.deepEqual(splitTag('/a:host:5000/x'), { path: '/a', tag: 'host:5000/x' });
  for (const rest of ['', ':', ':tag', 'path:']) {
    assert.throws(() => splitTag(rest), { code: 'USAGE', message: /PATH\[:TAG\]/ });
  }
});
