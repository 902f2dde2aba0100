/** The digests of headers, in databases that the real rpm wrote and in damaged copies. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { RpmHeader } from '../../../../plugins/rpm/rpmdb/header.js';
import {
  checkHeaderDigest,
  openRpmdb,
  type RpmPackage,
  signedHeader,
  Tag,
  TagType,
} from '../../../../plugins/rpm/rpmdb/index.js';
import { OstrataError } from '../../../../src/errors.js';
import { buildHeader, namedHeader } from '../../../support/build-header.js';
import { breakDigest, fixtureOf, packagesOf } from '../../../support/damage-database.js';
import { discoverFixtures } from '../../../support/rpmdb-fixtures.js';

/** The headers that rpm makes for trusted keys have no digest. */
const isPackage = ({ name }: RpmPackage) => name !== 'gpg-pubkey';

for (const fixture of discoverFixtures()) {
  suite(fixture.name, () => {
    test('every package that rpm installed has a right digest', async () => {
      for (const { header, nevra } of (await packagesOf(fixture)).filter(isPackage)) {
        assert.equal(checkHeaderDigest(header).state, 'right', nevra);
      }
    });

    test('one flipped bit of what was built makes the digest wrong', async () => {
      for (const { header, name, version, nevra } of (await packagesOf(fixture)).filter(
        isPackage,
      )) {
        const bytes = Buffer.from(header.bytes());
        const at = bytes.indexOf(`${name}\0${version}\0`);
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        assert.equal(checkHeaderDigest(RpmHeader.parse(bytes)).state, 'wrong', nevra);
      }
    });
  });
}

test('a header without a digest is neither right nor wrong', () => {
  assert.equal(checkHeaderDigest(RpmHeader.parse(namedHeader('x'))).state, 'missing');
});

test('a region that claims any size gives an error with a code, or is compared', async () => {
  const [pkg = assert.fail()] = await packagesOf(fixtureOf('bookworm-sqlite'));
  const view = Buffer.from(pkg.header.bytes());
  const trailer = 8 + 16 * view.readUInt32BE(0) + view.readUInt32BE(16);
  const offsets = [8, 12, 16, 20, trailer, trailer + 4, trailer + 8, trailer + 12];
  const values = [0, 1, 15, 16, 62, 63, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff];
  for (const offset of offsets) {
    for (const value of values) {
      const bytes = Buffer.from(pkg.header.bytes());
      bytes.writeUInt32BE(value, offset);
      try {
        checkHeaderDigest(RpmHeader.parse(bytes));
      } catch (error) {
        assert.ok(error instanceof OstrataError && error.code === 'CORRUPT', `${error}`);
      }
    }
  }
});

test('a package with a wrong digest is damaged, and the walk continues after it', async () => {
  const fixture = fixtureOf('bullseye-bdb-64k');
  const packages = await packagesOf(fixture);
  const odd = packages.find(({ name }) => name === 'odd-epoch') ?? assert.fail();
  const files = { database: breakDigest(fixture.read().database, odd) };
  const database = await openRpmdb(files);
  const message =
    /^reading rpmdb: package \d+: odd-epoch-\S+: the sha256 of the header is [0-9a-f]{64}, it should/;
  assert.throws(() => [...database.packages()], { code: 'CORRUPT', message });

  const errors: string[] = [];
  const states: string[] = [];
  const walked = database.packages({
    onError: (error) => errors.push(error.message),
    onDigest: (state) => states.push(state),
  });
  assert.equal([...walked].length, packages.length - 1);
  assert.match(errors.join(), message);
  assert.equal(states.filter((state) => state === 'wrong').length, 1);
  assert.equal(states.length, packages.length);
});

test('the signatures of version 4 and 6 packages are found', () => {
  const tags = [[Tag.NAME, TagType.STRING, ['x']]] as const;
  const [rsa, dsa, first, second] = ['rsa', 'dsa', 'first', 'second'].map((each) =>
    Buffer.from(each),
  ) as [Buffer, Buffer, Buffer, Buffer];
  const inBase64 = [first, second].map((each) => each.toString('base64'));
  const signed = buildHeader(tags, [
    [Tag.DSAHEADER, TagType.BIN, [dsa]],
    [Tag.RSAHEADER, TagType.BIN, [rsa]],
    [Tag.OPENPGP, TagType.STRING_ARRAY, inBase64],
  ]);
  const { signatures } = signedHeader(RpmHeader.parse(signed)) ?? assert.fail();
  assert.deepEqual(signatures.map(String), ['rsa', 'dsa', 'first', 'second']);
  assert.equal(signedHeader(RpmHeader.parse(buildHeader(tags))), undefined);
});
