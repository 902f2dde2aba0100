/**
 * Layers of format version 1 beside those that the real ostree-ext has written of the same commit;
 * `ostree-ext/regenerate.sh` had it write them.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { brotliDecompressSync } from 'node:zlib';
import { verifyImage } from '../../src/image/verify.js';
import { silentLogger } from '../../src/log.js';
import { validateBlob } from '../../src/oci/validate.js';
import { TAR_BLOCK } from '../../src/tar/fields.js';
import { buildImage } from '../support/build-image.js';
import { writeOddCommit } from '../support/odd-commit.js';
import { repoRoot } from '../support/root.js';

test('layers of format version 1 have the bytes that ostree-ext writes when it exports them', async () => {
  const { image } = await buildImage(writeOddCommit, { formatVersion: 1 });
  const ours: Uint8Array[] = [];
  for (const descriptor of image.manifest.layers) {
    await validateBlob(image.blob(descriptor), descriptor, async (tar) => {
      for await (const bytes of tar) {
        ours.push(Uint8Array.from(bytes));
      }
    });
  }
  const actual = Buffer.concat(ours);
  const fixture = readFileSync(join(repoRoot, 'test/layers/ostree-ext/layers.tar.br'));
  const expected = brotliDecompressSync(fixture);
  for (let at = 0; at < expected.length; at += TAR_BLOCK) {
    const blocks = [actual, expected].map((all) => all.toString('latin1', at, at + TAR_BLOCK));
    assert.equal(blocks[0], blocks[1], `block at byte ${at}`);
  }
  assert.equal(actual.length, expected.length);
  await verifyImage(image, silentLogger);
});
