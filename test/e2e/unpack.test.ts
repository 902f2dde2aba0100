/** An image that GNU tar unpacks holds a sound repository and the tree of the commit. */
import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { encapsulate, type Image, unpack } from '../support/read-image.js';
import { run } from '../support/run.js';
import { differences, type Found, type Scan, scan } from '../support/scan-tree.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import {
  DB_PATH,
  initRepo,
  listPackages,
  type World,
  world,
  worldNeeds,
} from '../support/world.js';

/**
 * The checksum of each content object by inode, in a repository of mode bare or bare-split-xattrs.
 */
function objectsByInode(repo: string, mode: 'bare' | 'split'): Map<bigint, string> {
  const found = new Map<bigint, string>();
  for (const prefix of readdirSync(join(repo, 'objects'))) {
    for (const name of readdirSync(join(repo, 'objects', prefix))) {
      if (name.endsWith('.file')) {
        found.set(
          lstatSync(join(repo, 'objects', prefix, name), { bigint: true }).ino,
          `${prefix}${name.slice(0, -'.file'.length)}`,
        );
      }
    }
  }
  assert.ok(found.size > 0, `objects of the ${mode} repository`);
  return found;
}

/**
 * Converts a scan of the checked-out commit to what the image must hold. In format version 1,
 * directories and the copies of empty files have no xattrs, as ostree-ext writes them.
 */
function expectedTree(checkout: Scan, formatVersion: number): Scan {
  const expected: Scan = new Map();
  for (const [path, entry] of checkout) {
    const isEmpty = entry.type === 'file' && entry.size === 0n;
    const isBare = formatVersion === 1 && (isEmpty || entry.type === 'directory');
    const listed = entry.xattrs.filter((line) => !line.startsWith('security.selinux='));
    const xattrs = isBare ? [] : listed;
    expected.set(path.replace(/^usr\/etc(?=\/|$)/, 'etc'), { ...entry, xattrs });
  }
  const directory = (mode: number): Found => ({
    ...{
      type: 'directory',
      mode,
      uid: 0,
      gid: 0,
      content: '',
      size: 0n,
      inode: 0n,
      mtime: 0,
      xattrs: [],
    },
  });
  expected.set('sysroot/ostree', directory(0o755));
  expected.set('var/tmp', directory(0o1777));
  return expected;
}

for (const formatVersion of [1, 2]) {
  suite(
    `an image of format version ${formatVersion}, unpacked by GNU tar`,
    needs(...worldNeeds, 'tar'),
    () => {
      let given: World;
      let scratch: string;
      let root: string;
      let image: Image;

      before(async () => {
        given = await world();
        scratch = scratchDirectory();
        const args = [`--format-version=${formatVersion}`];
        image = encapsulate(given.repo, 'os/old', join(scratch, 'image'), args).image;
        root = join(scratch, 'root');
        mkdirSync(root, { mode: 0o700 });
        unpack(image, root);
      });

      test('ostree fsck accepts its repository', () => {
        run('ostree', [`--repo=${root}/sysroot/ostree/repo`, 'fsck', '--quiet']);
        const objects = run('find', [`${root}/sysroot/ostree/repo/objects`, '-name', '*.commit'])
          .trim()
          .split('\n');
        assert.equal(objects.length, 1);
      });

      test('ostree pulls the same commit from it, with its signature', () => {
        const repo = initRepo(join(scratch, 'pulled'), 'archive');
        run('ostree', [
          `--repo=${repo}`,
          'pull-local',
          `${root}/sysroot/ostree/repo`,
          given.oldCommit,
        ]);
        run('ostree', [`--repo=${repo}`, 'fsck', '--quiet']);
        const detached = join(
          'objects',
          given.oldCommit.slice(0, 2),
          `${given.oldCommit.slice(2)}.commitmeta`,
        );
        assert.deepEqual(
          readFileSync(join(repo, detached)),
          readFileSync(join(given.repo, detached)),
        );

        const key = join(scratch, 'key');
        writeFileSync(
          key,
          run('gpg', ['--homedir', given.gnupg, '--batch', '--armor', '--export']),
        );
        run('ostree', [
          `--repo=${repo}`,
          'remote',
          'add',
          `--gpg-import=${key}`,
          'signer',
          'https://example.invalid/',
        ]);
        const shown = run('ostree', [
          `--repo=${repo}`,
          'show',
          '--gpg-verify-remote=signer',
          given.oldCommit,
        ]);
        assert.match(shown, /Good signature from "Tester <tester@example\.invalid>"/);
      });

      test('rpm lists the same packages and finds their files intact', async () => {
        const packages = listPackages(root, '%{nevra} %{sigmd5}');
        assert.ok(packages.length > 10);
        assert.deepEqual(packages, listPackages(given.oldTree, '%{nevra} %{sigmd5}'));

        // rpm gets a copy, because it writes beside its database even when it reads.
        const copy = join(scratch, 'for-rpm');
        run('cp', ['-a', root, copy]);
        const options = ['--dbpath', DB_PATH, '-Va', '--nodeps', '--nomtime', '--noscripts'];
        // rpm -V ends with 1 if it reports anything.
        const report = run('sh', [
          '-c',
          'rpm "$@" || [ $? = 1 ]',
          'sh',
          '--root',
          copy,
          ...options,
        ]).split('\n');
        // Columns 1 and 3 are size and digest; `g` marks a ghost, which has no content in the
        // package.
        const wrong = report.filter(
          (line) => /^(S|..5|missing)/.test(line) && !/^\S+\s+g /.test(line),
        );
        assert.deepEqual(wrong, []);
      });

      test('the tree is that of ostree checkout -H, and one object is one inode', () => {
        const checkout = join(scratch, 'checkout');
        run('ostree', [`--repo=${given.repo}`, 'checkout', '-H', given.oldCommit, checkout]);
        const expected = expectedTree(scan(checkout), formatVersion);
        const actual = scan(root, ['sysroot/ostree']);
        assert.ok(actual.size > 100);
        assert.deepEqual(differences(actual, expected), []);

        const source = objectsByInode(given.repo, 'bare');
        const unpacked = objectsByInode(join(root, 'sysroot/ostree/repo'), 'split');
        for (const [path, { type, size, inode }] of actual) {
          if (type === 'directory') {
            continue;
          }
          if (type === 'file' && size === 0n) {
            assert.equal(unpacked.get(inode), undefined, `${path} is empty and shared`);
            continue;
          }
          const object = source.get(expected.get(path)?.inode ?? 0n);
          assert.ok(object, `${path} is no object in the checkout`);
          assert.equal(unpacked.get(inode), object, `the object of ${path}`);
        }
        const empty = [...actual.values()].filter(
          ({ type, size }) => type === 'file' && size === 0n,
        );
        assert.equal(
          new Set(empty.map(({ inode }) => inode)).size,
          empty.length,
          'empty files share no inode',
        );
      });
    },
  );
}
