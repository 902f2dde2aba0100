/** `ostrata rpmdb info --json`: what scripts read of packages. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Tag, TagType } from '../../../plugins/rpm/rpmdb/index.js';
import { databaseOfHeaders } from '../../support/build-database.js';
import { namedHeader } from '../../support/build-header.js';
import { ostrata } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';

test('info --json has dependencies, the MD5 and what the signature says of itself', () => {
  const signature = '881303050065a0b0c00123456789abcdef0108abcd';
  const header = namedHeader(
    'x',
    [Tag.SIGMD5, TagType.BIN, [Buffer.alloc(16, 1)]],
    [Tag.RSAHEADER, TagType.BIN, [Buffer.from(signature, 'hex')]],
    [Tag.PROVIDENAME, TagType.STRING_ARRAY, ['x', 'y']],
    [Tag.PROVIDEFLAGS, TagType.INT32, [8, 0]],
    [Tag.PROVIDEVERSION, TagType.STRING_ARRAY, ['1-2', '']],
  );
  const file = join(scratchDirectory(), 'rpmdb.sqlite');
  writeFileSync(file, databaseOfHeaders([header]));
  const [info] = JSON.parse(ostrata(['rpmdb', 'info', '--json', `--dbpath=${file}`, 'x']));
  assert.equal(info.sigmd5, '01'.repeat(16));
  assert.deepEqual(info.provides, ['x = 1-2', 'y']);
  assert.deepEqual(info.requires, []);
  assert.deepEqual(info.signature, {
    keyAlgorithm: 'RSA',
    hashAlgorithm: 'SHA256',
    time: 0x65a0b0c0,
    keyId: '0123456789abcdef',
  });
});
