/**
 * Objects whose checksums match, but which libostree would not have written: `verify` and a pull
 * refuse them for the same reason. The rules are those of `ostree_validate_structureof_dirmeta` and
 * `_ostree_validate_structureof_xattrs` in
 * https://github.com/ostreedev/ostree/blob/main/src/libostree/ostree-core.c, and of symlink(2).
 */
import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { verifyImage } from '../../src/image/verify.js';
import { silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import { encode, swap32 } from '../../src/ostree/gvariant/value.js';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../src/ostree/objects/dirmeta.js';
import { openImage } from '../../src/transports/image-reference.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { fsck } from '../support/client.js';
import { ForgedCommit, type Forgery } from '../support/forge-commit.js';
import { type ForgedImage, forge } from '../support/forge-image.js';
import { assertRefused, importInto, newRepo } from '../support/import-image.js';
import { needs } from '../support/tools.js';

/** Xattrs of names and values; a sound name ends in a NUL. */
type XattrMembers = readonly (readonly [name: string, value: string])[];

const membersOf = (xattrs: XattrMembers) =>
  xattrs.map(([name, value]) => [Buffer.from(name), Buffer.from(value)]);

/** A file with these xattrs. */
const file = (xattrs: XattrMembers): Forgery => ({
  file: { xattrsBytes: encode('a(ayay)', membersOf(xattrs)) },
});

/** A root directory with this mode and these xattrs. */
const root = (mode: number, xattrs: XattrMembers = []): Forgery => ({
  dirmeta: encode('(uuua(ayay))', [0, 0, swap32(mode), membersOf(xattrs)]),
});

const symlink = (target: string): Forgery => ({ file: { mode: S_IFLNK | 0o777, target } });

type Attack = readonly [title: string, forgery: Forgery, message: RegExp];

const modeAttacks: readonly Attack[] = [
  ['a directory with the mode of a file', root(S_IFREG | 0o755), /: directory of mode 0100755$/],
  ['mode bits that no file has', root(S_IFDIR | 0o200755), /: mode 0240755 has unknown bits$/],
];

const symlinkAttacks: readonly Attack[] = [
  [
    'a symlink target of 4,096 bytes',
    symlink('x'.repeat(4096)),
    /: a symlink target of 4096 bytes, at most 4095$/,
  ],
  ['a symlink without a target', symlink(''), /: a symlink without a target$/],
];

const unsoundXattrs: readonly (readonly [string, XattrMembers, RegExp])[] = [
  [
    'that are not sorted',
    [
      ['user.b\0', ''],
      ['user.a\0', ''],
    ],
    /: xattrs user\.b and user\.a are not in ascending order$/,
  ],
  [
    'of which two have the same name',
    [
      ['user.a\0', '1'],
      ['user.a\0', '2'],
    ],
    /: xattrs user\.a and user\.a are not in ascending order$/,
  ],
  ['without a name', [['\0', '']], /: invalid xattr name "\\u0000"$/],
  ['whose name has no NUL', [['user.a', '']], /: invalid xattr name "user\.a"$/],
  ['whose name has two NULs', [['user.a\0b\0', '']], /: invalid xattr name "user\.a\\u0000b/],
];

const xattrAttacks: readonly Attack[] = [
  ...unsoundXattrs.flatMap(([title, xattrs, message]): readonly Attack[] => [
    [`xattrs of a file ${title}`, file(xattrs), message],
    [`xattrs of a directory ${title}`, root(S_IFDIR | 0o755, xattrs), message],
  ]),
  [
    'xattrs that are no GVariant of their type',
    { file: { xattrsBytes: Buffer.from('any text') } },
    /: GVariant a\(ayay\): /,
  ],
];

let image: ImageReader;
before(async () => {
  image = (await buildImage(dir({ usr: dir({ a: 'first' }) }))).image;
});

/** The image with the commit in place of its own. */
function forgeCommit(commit: ForgedCommit): Promise<ForgedImage> {
  const labels = { 'ostree.commit': commit.checksum };
  return forge(image, (layers) => void layers.splice(0, layers.length, ...commit.layers()), labels);
}

async function verify({ imgref }: ForgedImage): Promise<void> {
  await verifyImage(await openImage(imgref), silentLogger);
}

test('a commit whose objects are all sound is verified and pulled', async () => {
  const xattrs = [
    ['user.a\0', ''],
    ['user.b\0', '2'],
  ] as const;
  const forgeries = [symlink('x'.repeat(4095)), file(xattrs), root(S_IFDIR | 0o7777, xattrs)];
  for (const forgery of forgeries) {
    const forged = await forgeCommit(new ForgedCommit(forgery));
    await verify(forged);
    await importInto(newRepo(), forged.imgref);
  }
});

suite('verify and pull refuse', () => {
  for (const [title, forgery, message] of [...modeAttacks, ...symlinkAttacks, ...xattrAttacks]) {
    test(title, async () => {
      const forged = await forgeCommit(new ForgedCommit(forgery));
      const code = /at most/.test(message.source) ? 'LIMIT' : 'CORRUPT';
      await assert.rejects(verify(forged), { code, message });
      await assertRefused(forged, code, message);
    });
  }
});

suite('ostree fsck', needs('ostree'), () => {
  test('accepts the sound commit that the attacks change', () => {
    fsck(new ForgedCommit().writeRepo());
  });

  for (const [title, forgery] of modeAttacks) {
    test(`fails for ${title}`, () => {
      assert.throws(() => fsck(new ForgedCommit(forgery).writeRepo()));
    });
  }
});
