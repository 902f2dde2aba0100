/** One commit gives the same image from every repository mode, job count and environment. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { encapsulate, type Image, unpack } from '../support/read-image.js';
import { ostrataProgram, run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { commitTree, initRepo, type World, world, worldNeeds } from '../support/world.js';

suite('one commit gives one image', needs(...worldNeeds), () => {
  let given: World;
  let scratch: string;
  let image: Image;

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    image = encapsulate(given.repo, 'os/old', join(scratch, 'image'), ['--max-layers=9']).image;
  });

  const digestOf = (repo: string, ref: string, name: string, ...args: string[]) =>
    encapsulate(repo, ref, join(scratch, name), ['--max-layers=9', ...args]).image.manifestDigest;
  const pulled = (name: string, mode: string, source: string, commit: string) => {
    const repo = initRepo(join(scratch, name), mode);
    run('ostree', [`--repo=${repo}`, 'pull-local', source, commit]);
    return repo;
  };

  for (const mode of ['archive', 'bare-user']) {
    test(`from a copy of mode ${mode}`, () => {
      const repo = pulled(`repo-${mode}`, mode, given.repo, given.oldCommit);
      assert.equal(digestOf(repo, given.oldCommit, `from-${mode}`), image.manifestDigest);
    });
  }

  test('from a copy of mode bare-split-xattrs, which is an unpacked image', () => {
    const root = join(scratch, 'unpacked');
    mkdirSync(root);
    unpack(image, root);
    const repo = join(root, 'sysroot/ostree/repo');
    assert.match(readFileSync(join(repo, 'config'), 'utf8'), /^mode=bare-split-xattrs$/m);
    assert.equal(digestOf(repo, given.oldCommit, 'from-split'), image.manifestDigest);
  });

  test('from mode bare-user-only, which holds commits of canonical permissions only', () => {
    const repo = initRepo(join(scratch, 'repo-bare-user-only'), 'bare-user-only');
    const commit = commitTree(
      repo,
      'os/plain',
      given.oldTree,
      '--canonical-permissions',
      '--no-xattrs',
    );
    const digest = digestOf(repo, 'os/plain', 'from-user-only');
    assert.notEqual(digest, image.manifestDigest);
    const copy = pulled('repo-canonical', 'archive', repo, commit);
    assert.equal(digestOf(copy, commit, 'from-canonical'), digest);
  });

  test('from a repository at another path, by ref, checksum, abbreviation and remote ref', () => {
    const copy = join(scratch, 'copy of the repo');
    run('cp', ['-a', given.repo, copy]);
    mkdirSync(join(copy, 'refs/remotes/origin/os'), { recursive: true });
    run('cp', [join(copy, 'refs/heads/os/old'), join(copy, 'refs/remotes/origin/os/old')]);
    rmSync(join(copy, 'refs/heads/os'), { recursive: true });
    const names = [given.oldCommit, given.oldCommit.slice(0, 12), 'origin:os/old'];
    for (const [index, name] of names.entries()) {
      assert.equal(digestOf(copy, name, `from-copy-${index}`), image.manifestDigest, name);
    }
  });

  for (const jobs of ['1', '2', '5']) {
    test(`with --jobs=${jobs}`, () => {
      assert.equal(
        digestOf(given.repo, 'os/old', `jobs-${jobs}`, `--jobs=${jobs}`),
        image.manifestDigest,
      );
    });
  }

  for (const env of [
    { TZ: 'Pacific/Kiritimati' },
    { LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' },
    { LC_ALL: 'C' },
  ]) {
    test(`with ${JSON.stringify(env)}`, () => {
      const name = join(scratch, `env-${Object.entries(env).flat().join('-').replace('/', '-')}`);
      const again = encapsulate(given.repo, 'os/old', name, ['--max-layers=9'], { env });
      assert.equal(again.image.manifestDigest, image.manifestDigest);
    });
  }

  test('with another umask and working directory', () => {
    const target = join(scratch, 'umask');
    const script = 'umask 077; exec "$0" "$@"';
    const command = [
      'container-encapsulate',
      `--repo=${given.repo}`,
      '--max-layers=9',
      'os/old',
      `oci:${target}:x`,
    ];
    run('sh', ['-c', script, process.execPath, ostrataProgram, ...command], { cwd: '/' });
    const index = JSON.parse(readFileSync(join(target, 'index.json'), 'utf8')) as {
      manifests: { digest: string }[];
    };
    assert.deepEqual(
      index.manifests.map(({ digest }) => digest),
      [image.manifestDigest],
    );
  });

  test('in an OCI image layout that holds other images, which stay', () => {
    const target = join(scratch, 'shared');
    const other = encapsulate(given.repo, 'os/new', target, [], { tag: 'other' });
    encapsulate(given.repo, 'os/new', target, ['--max-layers=4'], { tag: 'ours' });
    const ours = encapsulate(given.repo, 'os/old', target, ['--max-layers=9'], { tag: 'ours' });
    assert.equal(ours.image.manifestDigest, image.manifestDigest);
    const index = JSON.parse(readFileSync(join(target, 'index.json'), 'utf8')) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    const tags = index.manifests.map((entry) => [
      entry.annotations['org.opencontainers.image.ref.name'],
      entry.digest,
    ]);
    assert.deepEqual(tags.sort(), [
      ['other', other.image.manifestDigest],
      ['ours', image.manifestDigest],
    ]);
  });
});
