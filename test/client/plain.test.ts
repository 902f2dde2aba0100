/** Plain images, which hold no ostree commit, are pulled as a merge commit of their layers. */
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { copyImage } from '../../src/client/copy-image.js';
import { pruneLayers } from '../../src/client/prune.js';
import { pullImage } from '../../src/client/pull.js';
import { previewImport } from '../../src/client/session.js';
import { imageRef, listBlobs, listImages, storedImage } from '../../src/client/stored.js';
import { checkOnlyCommit, unencapsulate } from '../../src/client/unencapsulate.js';
import { canonicalImgref } from '../../src/client/verify/ostree-image-reference.js';
import { openRepo } from '../../src/ostree/repo.js';
import { RepoWriter } from '../../src/ostree/write/writer.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { type ForgedEntry, type ForgedImage, forge, forgePlain } from '../support/forge-image.js';
import { importOptions, newRepo } from '../support/import-image.js';
import { run } from '../support/run.js';
import { needs } from '../support/tools.js';

const directory = (name: string, mode = 0o755): ForgedEntry => ({ name, type: 'directory', mode });
const file = (name: string, content = ''): ForgedEntry => ({
  name,
  type: 'file',
  content: Buffer.from(content),
});

const lower: readonly ForgedEntry[] = [
  directory('./', 0o700),
  ...[directory('etc'), file('etc/conf', 'conf'), file('etc/gone'), file('etc/hostname')],
  ...[directory('usr'), file('usr/a', 'a'), { name: 'usr/b', type: 'link', linkname: 'usr/a' }],
  ...[directory('opt'), file('opt/vendor', 'v'), file('var/lib/state', 's')],
  ...[directory('run', 0o711), file('run/pid'), directory('tmp', 0o1777), file('tmp/x')],
  { name: 'dev/null', type: 'character device' },
] as const;
const upper: readonly ForgedEntry[] = [
  directory('./'),
  ...[file('etc/.wh.gone'), directory('usr', 0o711), file('usr/a', 'new')],
];

const CREATED = { created: '2024-02-03T04:05:06Z' };

async function pullInto(repo: string, { imgref }: ForgedImage) {
  return pullImage(importOptions(repo, imgref));
}

suite('the pull of a plain image', () => {
  test('makes a merge commit without a parent, with the metadata of the image', async () => {
    const repo = newRepo();
    const image = forgePlain([lower, upper], CREATED);
    const { commit, mergeCommit, manifestDigest } = await pullInto(repo, image);
    assert.equal(commit, undefined);

    const { parsed } = openRepo(repo).loadCommit(mergeCommit);
    assert.equal(parsed.parent, undefined);
    assert.equal(parsed.timestamp, Date.parse(CREATED.created) / 1000);
    const stored = storedImage(openRepo(repo), canonicalImgref(image.imgref));
    assert.equal(stored?.manifestDigest, manifestDigest);
    assert.deepEqual(
      [...parsed.metadata.keys()],
      ['ostree.container.image-config', 'ostree.manifest', 'ostree.manifest-digest'],
    );
    // Without a time in the image, the merge commit is still the same everywhere.
    const timeless = forgePlain([lower]);
    const [first, second] = [newRepo(), newRepo()];
    const again = await pullInto(first, timeless);
    assert.equal((await pullInto(second, timeless)).mergeCommit, again.mergeCommit);
  });

  test('lays the layers over each other, /etc at /usr/etc, and keeps top directories', async () => {
    const repo = newRepo();
    const { mergeCommit } = await pullInto(repo, forgePlain([lower, upper], CREATED));
    const { files } = openCommitTree(openRepo(repo), mergeCommit);
    const shown = [...files].map(({ path, mode }) => `${path} ${(mode & 0o7777).toString(8)}`);
    assert.deepEqual(shown.sort(), [
      '/ 700',
      '/opt 755',
      '/opt/vendor 644',
      '/run 711',
      '/tmp 1777',
      '/usr 755',
      '/usr/a 644',
      '/usr/b 644',
      '/usr/etc 755',
      '/usr/etc/conf 644',
      '/var 755',
      '/var/lib 755',
      '/var/lib/state 644',
    ]);
    const [a, b] = [files.get('/usr/a'), files.get('/usr/b')];
    assert.ok(a?.type === 'file' && b?.type === 'file');
    assert.deepEqual([a.size, b.size], [3, 1]);
  });

  test('fetches a layer once that several images share', async () => {
    const repo = newRepo();
    await pullInto(repo, forgePlain([lower, upper], CREATED));
    const next = forgePlain([lower, [file('usr/c', 'c')]], CREATED);
    const plan = await previewImport(importOptions(repo, next.imgref));
    assert.deepEqual([plan.counts.layersPresent, plan.counts.layersFetched], [1, 1]);
    const { layersFetched, mergeCommit } = await pullInto(repo, next);
    assert.equal(layersFetched, 1);
    const elsewhere = await pullInto(newRepo(), next);
    assert.equal(elsewhere.mergeCommit, mergeCommit);
    assert.equal((await pullInto(repo, next)).layersFetched, 0);
  });

  test('is refused where a commit is needed, with what to do instead', async () => {
    const repo = newRepo();
    const options = importOptions(repo, forgePlain([lower]).imgref);
    await assert.rejects(unencapsulate(options), {
      code: 'UNSUPPORTED',
      message: /no label ostree\.final-diffid; pull it with: container image pull/,
    });
    await assert.rejects(previewImport(options, checkOnlyCommit), { code: 'UNSUPPORTED' });
    appendFileSync(join(repo, 'config'), '[remote "os"]\nsign-verify=true\n');
    const verification = { kind: 'remote', remote: 'os' } as const;
    await assert.rejects(pullImage({ ...options, source: { ...options.source, verification } }), {
      code: 'UNSUPPORTED',
      message: /the image holds no ostree commit.*use ostree-image-signed/,
    });
    assert.deepEqual(listBlobs(openRepo(repo)), []);
  });

  test('is refused whole if one layer is wrong', async () => {
    const repo = newRepo();
    await assert.rejects(pullInto(repo, forgePlain([lower, [file('usr/.wh..')]])), {
      code: 'CORRUPT',
      message: /layer 1 .*usr\/\.wh\.\..*names no file/,
    });
    assert.deepEqual([listBlobs(openRepo(repo)), listImages(openRepo(repo))], [[], []]);
  });
});

suite('a pulled plain image', () => {
  test('is copied, kept while layers are pruned, and removed', async () => {
    const source = openRepo(newRepo());
    const image = forgePlain([lower, upper], CREATED);
    const imgref = canonicalImgref(image.imgref);
    const { mergeCommit } = await pullInto(source.path, image);

    const writer = await RepoWriter.open(newRepo(), { fsync: false });
    try {
      assert.equal(await copyImage(source, writer, imgref), mergeCommit);
      assert.deepEqual(listImages(writer.repo), [imgref]);
      assert.equal(pruneLayers(writer), 0);
      assert.equal((await pullInto(writer.repo.path, image)).layersFetched, 0);
      writer.deleteRef(imageRef(imgref));
      assert.equal(pruneLayers(writer), 2);
    } finally {
      writer.close();
    }
  });
});

/** A policy by which programs have the type `type`; libselinux does not load the binary policy. */
const policy = (type: string): readonly ForgedEntry[] => [
  file('etc/selinux/config', 'SELINUX=enforcing\nSELINUXTYPE=test\n'),
  file('etc/selinux/test/policy/policy.31', 'policy'),
  file(
    'etc/selinux/test/contexts/files/file_contexts',
    `/.* system_u:object_r:default_t:s0\n/usr/bin/.* system_u:object_r:${type}:s0\n`,
  ),
];

suite('a layer that images of different systems share', () => {
  test('has the labels of the policy of each', needs('ostree'), async () => {
    const programs = [file('usr/bin/a', 'a'), file('usr/lib/b', 'b')];
    const images = [policy('first_t'), policy('second_t'), []].map((layer) =>
      forgePlain([programs, layer], CREATED),
    );
    const shared = newRepo();
    const labels: (string | undefined)[] = [];
    for (const image of [...images, ...images]) {
      const { mergeCommit } = await pullInto(shared, image);
      assert.equal(mergeCommit, (await pullInto(newRepo(), image)).mergeCommit);
      const xattrs = openCommitTree(openRepo(shared), mergeCommit).files.get('/usr/bin/a')?.xattrs;
      const label = xattrs?.get('security.selinux');
      labels.push(label && Buffer.from(label).toString());
      run('ostree', [`--repo=${shared}`, 'fsck', '--quiet']);
    }
    const label = (type: string) => `system_u:object_r:${type}:s0\0`;
    const expected = [label('first_t'), label('second_t'), undefined];
    assert.deepEqual(labels, [...expected, ...expected]);
  });

  test('is whole, whatever the root of the system that it was pulled for first', async () => {
    const layer = [file('opt/vendor', 'v'), file('usr/bin/a', 'a')];
    const plain = forgePlain([layer], CREATED);
    const { image } = await buildImage(dir({ usr: dir({ base: 'base' }) }));
    const derived = await forge(image, () => {}, {}, [layer]);

    const results = [];
    for (const order of [
      [plain, derived],
      [derived, plain],
    ]) {
      const repo = newRepo();
      const commits = new Map<ForgedImage, string>();
      for (const each of order) {
        commits.set(each, (await pullInto(repo, each)).mergeCommit);
      }
      results.push([plain, derived].map((each) => commits.get(each)));
      const typeIn = (each: ForgedImage) =>
        openCommitTree(openRepo(repo), commits.get(each) ?? '').files.get('/opt/vendor')?.type;
      assert.deepEqual([plain, derived].map(typeIn), ['file', undefined]);
    }
    assert.deepEqual(results[0], results[1]);
  });

  test('stays if it is compressed anew and the image that it came with is removed', async () => {
    const source = openRepo(newRepo());
    const [first, second] = [1, 9].map((level) => forgePlain([lower, upper], CREATED, level));
    assert.ok(first && second);
    await pullInto(source.path, first);
    assert.equal((await pullInto(source.path, second)).layersFetched, 0);

    const imgref = canonicalImgref(second.imgref);
    for (const path of [source.path, newRepo()]) {
      const writer = await RepoWriter.open(path, { fsync: false });
      try {
        writer.deleteRef(imageRef(canonicalImgref(first.imgref)));
        pruneLayers(writer);
        await copyImage(source, writer, imgref);
        assert.equal((await pullInto(writer.repo.path, second)).layersFetched, 0);
      } finally {
        writer.close();
      }
    }
  });
});
