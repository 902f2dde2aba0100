/** The client's commands, checked with the real ostree: commits come back unchanged. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { fsck, pull, refs, refused, unencapsulate } from '../support/client.js';
import { encapsulate, type Image } from '../support/read-image.js';
import { ostrata, ostrataProgram, run, tryRun } from '../support/run.js';
import { differences, scan } from '../support/scan-tree.js';
import { scratchDirectory } from '../support/scratch.js';
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
    scratch = scratchDirectory();
    const image = join(scratch, 'image');
    old = encapsulate(given.repo, 'os/old', image, ['--max-layers=12'], { tag: 'old' }).image;
    const previous = [`--previous-build=${old.reference}`, '--max-layers=12'];
    next = encapsulate(given.repo, 'os/new', image, previous, { tag: 'new' }).image;
    const known = new Set(old.config.rootfs.diff_ids);
    added = next.config.rootfs.diff_ids.filter((diffId) => !known.has(diffId)).length;
    assert.ok(added > 0 && added < next.manifest.layers.length, `${added} layers are new`);
  });

  function checkout(repo: string, rev: string): string {
    const directory = mkdtempSync(join(scratch, 'checkout-'));
    run('ostree', [`--repo=${repo}`, 'checkout', rev, join(directory, 'tree')]);
    return join(directory, 'tree');
  }

  for (const mode of ['archive', 'bare', 'bare-user']) {
    test(`mode ${mode}: an image and its update bring back the same commits`, () => {
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

  test('mode bare-user-only takes only commits of canonical permissions', () => {
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

  suite('container image', () => {
    let repo: string;
    let mergeCommit: string;

    before(() => {
      repo = initRepo(join(scratch, 'pull'), 'bare-user');
      const first = pull(repo, unverified(old));
      assert.equal(first.commit, given.oldCommit);
      mergeCommit = first.mergeCommit as string;
      assert.equal(pull(repo, unverified(next)).layersFetched, added);
    });

    const layerRefs = (ofRepo: string) =>
      refs(ofRepo).filter((ref) => ref.startsWith('ostree/container/blob/'));

    test('pull writes a merge commit whose parent is the commit of the image', () => {
      const revParse = ['rev-parse', `${mergeCommit}^`];
      assert.equal(run('ostree', [`--repo=${repo}`, ...revParse]).trim(), given.oldCommit);
      assert.equal(run('ostree', [`--repo=${repo}`, 'diff', given.oldCommit, mergeCommit]), '');
      fsck(repo);
    });

    test('pull writes the manifest digest and the config into the merge commit', () => {
      const show = (key: string) =>
        run('ostree', [`--repo=${repo}`, 'show', `--print-metadata-key=${key}`, mergeCommit]);
      assert.equal(show('ostree.manifest-digest').trim(), `'${old.manifestDigest}'`);
      assert.match(show('ostree.container.image-config'), /ostree\.final-diffid/);
    });

    test('pull keeps a ref for every layer', () => {
      assert.equal(layerRefs(repo).length, old.manifest.layers.length + added);
    });

    test('pull of an image that is already there fetches no layer and writes no new commit', () => {
      const again = pull(repo, unverified(old));
      assert.equal(again.layersFetched, 0);
      assert.equal(again.commit, given.oldCommit);
      assert.equal(again.mergeCommit, mergeCommit);
    });

    test('list prints one line for each image', () => {
      const listing = ostrata(['container', 'image', 'list', `--repo=${repo}`]);
      assert.deepEqual(listing.trim().split('\n').sort(), [old.reference, next.reference].sort());
    });

    test('copy brings an image with all its layers into another repository', () => {
      const copied = initRepo(join(scratch, 'copied'), 'archive');
      const copy = ['container', 'image', 'copy', `--src-repo=${repo}`, `--dest-repo=${copied}`];
      ostrata([...copy, next.reference]);
      fsck(copied);
      assert.equal(pull(copied, unverified(next)).layersFetched, 0);
    });

    test('history prints a header and one line for each layer', () => {
      const history = ostrata(['container', 'image', 'history', `--repo=${repo}`, next.reference]);
      assert.equal(history.trim().split('\n').length, 1 + next.manifest.layers.length);
    });

    test('metadata prints the manifest', () => {
      const call = ['container', 'image', 'metadata', `--repo=${repo}`, next.reference];
      assert.deepEqual(JSON.parse(ostrata(call)), next.manifest);
    });

    test('remove deletes the image and the layers that no other image uses', () => {
      const own = initRepo(join(scratch, 'remove'), 'bare-user');
      pull(own, unverified(old));
      pull(own, unverified(next));

      ostrata(['container', 'image', 'remove', `--repo=${own}`, old.reference]);
      assert.equal(layerRefs(own).length, next.manifest.layers.length);

      run('ostree', [`--repo=${own}`, 'prune', '--refs-only', '--depth=0']);
      fsck(own);
    });

    test('remove of an image that is not there is refused', () => {
      refused(['container', 'image', 'remove', `--repo=${repo}`, 'oci:/nowhere:x'], /no image/);
    });
  });

  for (const kind of ['content', 'dirtree', 'commit', 'merge commit']) {
    test(`an object that fsck deleted is fetched again: ${kind}`, () => {
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

  test('a reference that makes no valid ref name is refused before anything is fetched', () => {
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

  test('--dry-run prints what would be fetched and fetches nothing', () => {
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

  test('container compare prints the size of an update and the packages that cause it', () => {
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

  test('four pulls into one repository at the same time all succeed', async () => {
    const repo = initRepo(join(scratch, 'two'), 'bare-user');
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
