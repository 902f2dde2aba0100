// What the transport oci: says about a folder that is missing or holds something else.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openImage } from '../../../src/transports/image-reference.js';
import { scratchDirectory } from '../../support/scratch.js';

test('a folder that does not exist, and one without an image, have errors of their own', async () => {
  const scratch = scratchDirectory();
  const missing = join(scratch, 'missing');
  await assert.rejects(openImage(`oci:${missing}:x`), {
    code: 'NOT_FOUND',
    message: `oci:${missing}:x: the folder ${missing} does not exist`,
  });
  await assert.rejects(openImage(`oci:${scratch}`), {
    code: 'NOT_FOUND',
    message: /lacks index\.json, so it is not an OCI image layout$/,
  });
});
