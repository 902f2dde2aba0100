/** The client against the real ostree: what was encapsulated is there again, whole, the same, signed. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { fsck, pull, refs, refused, unencapsulate } from '../support/client.js';
import { encapsulate, type Image } from '../support/read-image.js';
import { ostrata, run, tryRun } from '../support/run.js';
import { differences, scan } from '../support/scan-tree.js';
import { needs } from '../support/tools.js';
import { commitTree, initRepo, type World, world, worldNeeds } from '../support/world.js';

const unverified = ({ reference }: Image) => `ostree-unverified-image:${reference}`;

suite('the client', needs(...worldNeeds), () => {
  let given: World;
  let scratch: string;
  let old: Image;
  let next: Image;
  let added: number;

  before(async () => {
    given = await world();
    scratch = mkdtempSync(join(dirname(given.repo), 'client-'));
    const image = join(scratch, 'image');
    old = encapsulate(given.repo, 'os/old', image, ['--max-layers=12'], { tag: 'old' }).image;
    const previous = [`--previous-build=${old.reference}`, '--max-layers=12'];
    next = encapsulate(given.repo, 'os/new', image, previous, { tag: 'new' }).image;
    const known = new Set(old.config.rootfs.diff_ids);
    added = next.config.rootfs.diff_ids.filter((diffId) => !known.has(diffId)).length;
    assert.ok(added > 0 && added < next.manifest.layers.length, `${added} layers are new`);
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  function checkout(repo: string, rev: string): string {
    const directory = mkdtempSync(join(scratch, 'checkout-'));
    run('ostree', [`--repo=${repo}`, 'checkout', rev, join(directory, 'tree')]);
    return join(directory, 'tree');
  }

  for (const mode of ['archive', 'bare', 'bare-user']) {
    test(`there and back into mode ${mode}, then an update`, () => {
      const repo = initRepo(join(scratch, mode), mode);
      const first = unencapsulate(repo, unverified(old), '--write-ref=os/old');
      assert.equal(first.commit, given.oldCommit);
      assert.deepEqual([first.layersFetched, first.layersPresent], [old.manifest.layers.length, 0]);
      const second = unencapsulate(repo, unverified(next), '--write-ref=os/new');
      assert.equal(second.commit, given.newCommit);
      assert.equal(second.layersFetched, added);
      assert.equal(unencapsulate(repo, unverified(next)).layersFetched, 0);
      fsck(repo);
      assert.equal(
        run('ostree', [`--repo=${repo}`, 'rev-parse', 'os/old']).trim(),
        given.oldCommit,
      );
      const diff = (where: string) =>
        run('ostree', [`--repo=${where}`, 'diff', 'os/old', 'os/new'])
          .split('\n')
          .sort();
      assert.deepEqual(diff(repo), diff(given.repo));
      assert.deepEqual(readdirSync(join(repo, 'state')), []);
      assert.deepEqual(
        readdirSync(join(repo, 'tmp')).filter((name) => name.startsWith('ostrata-')),
        [],
      );
      if (mode === 'bare') {
        const [here, there] = [checkout(repo, 'os/new'), checkout(given.repo, 'os/new')];
        assert.deepEqual(differences(scan(here), scan(there)), []);
      }
    });
  }

  test('bare-user-only takes what has canonical permissions, and says what is in the way of the rest', () => {
    const repo = initRepo(join(scratch, 'buo'), 'bare-user-only');
    const call = ['container', 'unencapsulate', `--repo=${repo}`, '--write-ref=os'];
    refused(
      [...call, unverified(old)],
      /bare-user-only repository holds only what was committed with canonical permissions/,
    );
    assert.deepEqual(refs(repo), []);

    const source = initRepo(join(scratch, 'canonical'), 'bare-user-only');
    const tree = join(scratch, 'tree');
    mkdirSync(join(tree, 'usr/bin'), { recursive: true });
    writeFileSync(join(tree, 'usr/bin/tool'), 'tool\n', { mode: 0o755 });
    run('ln', ['-s', 'tool', join(tree, 'usr/bin/link')]);
    const commit = commitTree(source, 'os', tree, '--canonical-permissions');
    const { image } = encapsulate(source, 'os', join(scratch, 'canonical-image'));
    assert.equal(unencapsulate(repo, unverified(image), '--write-ref=os').commit, commit);
    fsck(repo);
  });

  test('pull: a merge commit on the commit, as others name and describe it', () => {
    const repo = initRepo(join(scratch, 'pull'), 'bare-user');
    const first = pull(repo, unverified(old));
    assert.equal(first.commit, given.oldCommit);
    assert.equal(
      run('ostree', [`--repo=${repo}`, 'rev-parse', `${first.mergeCommit}^`]).trim(),
      given.oldCommit,
    );
    const show = (key: string) =>
      run('ostree', [
        `--repo=${repo}`,
        'show',
        `--print-metadata-key=${key}`,
        first.mergeCommit as string,
      ]).trim();
    assert.equal(show('ostree.manifest-digest'), `'${old.manifestDigest}'`);
    assert.match(show('ostree.container.image-config'), /ostree\.final-diffid/);
    assert.equal(
      run('ostree', [`--repo=${repo}`, 'diff', given.oldCommit, first.mergeCommit as string]),
      '',
    );
    fsck(repo);

    const again = pull(repo, unverified(old));
    assert.deepEqual(
      [again.mergeCommit, again.commit, again.layersFetched],
      [first.mergeCommit, given.oldCommit, 0],
    );
    assert.equal(pull(repo, unverified(next)).layersFetched, added);
    assert.deepEqual(
      ostrata(['container', 'image', 'list', `--repo=${repo}`])
        .trim()
        .split('\n')
        .sort(),
      [old.reference, next.reference].sort(),
    );
    const blobs = () => refs(repo).filter((ref) => ref.startsWith('ostree/container/blob/')).length;
    assert.equal(blobs(), old.manifest.layers.length + added);

    const copied = initRepo(join(scratch, 'copied'), 'archive');
    const copy = ['container', 'image', 'copy', `--src-repo=${repo}`, `--dest-repo=${copied}`];
    ostrata([...copy, next.reference]);
    fsck(copied);
    assert.equal(pull(copied, unverified(next)).layersFetched, 0);

    const history = ostrata(['container', 'image', 'history', `--repo=${repo}`, next.reference]);
    assert.equal(history.trim().split('\n').length, 1 + next.manifest.layers.length);
    const metadata = JSON.parse(
      ostrata(['container', 'image', 'metadata', `--repo=${repo}`, next.reference]),
    );
    assert.deepEqual(metadata, next.manifest);

    ostrata(['container', 'image', 'remove', `--repo=${repo}`, old.reference]);
    assert.equal(blobs(), next.manifest.layers.length, 'shared layers stay');
    run('ostree', [`--repo=${repo}`, 'prune', '--refs-only', '--depth=0']);
    fsck(repo);
    refused(['container', 'image', 'remove', `--repo=${repo}`, old.reference], /no image/);
  });

  for (const kind of ['content', 'dirtree', 'commit', 'merge commit']) {
    test(`a damaged object is fetched again when fsck took it away: ${kind}`, () => {
      const repo = initRepo(join(scratch, `damaged-${kind}`), 'archive');
      const first = pull(repo, unverified(old));
      const names: Readonly<Record<string, string>> = {
        commit: objectPath(first.commit, 'commit'),
        'merge commit': objectPath(first.mergeCommit as string, 'commit'),
      };
      const suffix = names[kind] ?? (kind === 'content' ? '.filez' : '.dirtree');
      const objects = readdirSync(join(repo, 'objects'), { recursive: true, encoding: 'utf8' });
      writeFileSync(
        join(repo, 'objects', objects.find((name) => name.endsWith(suffix)) as string),
        'damage',
      );
      assert.notEqual(
        tryRun('ostree', [`--repo=${repo}`, 'fsck', '--quiet', '--delete']).status,
        0,
      );
      const { layersFetched, ...again } = pull(repo, unverified(old));
      assert.deepEqual([again.commit, again.mergeCommit], [first.commit, first.mergeCommit]);
      assert.ok(layersFetched < first.layersFetched, `${layersFetched} layers fetched`);
      fsck(repo);
      assert.deepEqual(readdirSync(join(repo, 'state')), []);
      assert.equal(pull(repo, unverified(old)).layersFetched, 0);
    });
  }

  test('a name that no ref can have is refused before anything is fetched', () => {
    const repo = initRepo(join(scratch, 'names'), 'archive');
    const long = `ostree-unverified-registry:localhost:1/os:${'1.'.repeat(60)}`;
    refused(
      ['container', 'image', 'pull', repo, long],
      /^error: "ostree\/container\/image\/.* at most 255 bytes per component of an ostree ref$/m,
    );
    const unencapsulated = ['container', 'unencapsulate', `--repo=${repo}`, unverified(old)];
    refused(
      [...unencapsulated, '--write-ref=../os'],
      /^error: "\.\.\/os" is not a name for an ostree ref$/m,
    );
    assert.deepEqual(refs(repo), []);
  });

  test('a dry run says what would be fetched, and fetches nothing', () => {
    const repo = initRepo(join(scratch, 'dry'), 'archive');
    const args = ['container', 'unencapsulate', `--repo=${repo}`, '--dry-run', unverified(next)];
    assert.match(
      ostrata(args),
      new RegExp(`\n${next.manifest.layers.length} layers to fetch \\(.*\\), 0 present\n$`),
    );
    assert.deepEqual(refs(repo), []);
    assert.equal(
      JSON.parse(ostrata(['container', 'info', '--json', next.reference])).commit,
      given.newCommit,
    );
  });

  test('how large an update is, and which packages are the cause', () => {
    const compare = (...args: string[]) =>
      ostrata(['container', 'compare', ...args, old.reference, next.reference]);
    const compared = JSON.parse(compare('--json'));
    assert.deepEqual([compared.total, compared.added], [next.manifest.layers.length, added]);
    assert.equal(compared.layers.length, added);
    assert.equal(
      compared.layers.reduce((sum: number, { size }: { size: number }) => sum + size, 0),
      compared.addedSize,
    );
    const packages = compared.changes.filter(({ id }: { id: string }) =>
      /\.(x86_64|noarch)$/.test(id),
    );
    assert.deepEqual(packages, [
      { id: 'added.noarch', change: 'added' },
      { id: 'hard-links.x86_64', change: 'changed' },
    ]);
    assert.match(compare(), /\n +\d+ .*hard-links\.x86_64 changed/);
    assert.match(
      compare('--markdown'),
      /^\*\*Update: .* in \d+ of 12 layers .*\n\| .*hard-links\.x86\\_64 changed/s,
    );
  });

  test('two pulls at once into one repository', async () => {
    const repo = initRepo(join(scratch, 'two'), 'bare-user');
    const { spawn } = await import('node:child_process');
    const { ostrataProgram } = await import('../support/run.js');
    const statuses = [old, next, old, next].map(
      (image) =>
        new Promise((resolve) => {
          const args = [
            ostrataProgram,
            'container',
            'image',
            'pull',
            '--quiet',
            repo,
            unverified(image),
          ];
          spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }).on(
            'exit',
            resolve,
          );
        }),
    );
    assert.deepEqual(await Promise.all(statuses), [0, 0, 0, 0]);
    fsck(repo);
    for (const image of [old, next]) {
      assert.equal(pull(repo, unverified(image)).layersFetched, 0);
    }
  });
});
