/** Plain images, which hold no ostree commit, are pulled as a merge commit of their layers. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { copyImage } from '../../src/client/copy-image.js';
import { pruneLayers } from '../../src/client/prune.js';
import { pullImage } from '../../src/client/pull.js';
import { previewImport } from '../../src/client/session.js';
import { imageRef, listBlobs, listImages, storedImage } from '../../src/client/stored.js';
import { unencapsulate } from '../../src/client/unencapsulate.js';
import { canonicalImgref } from '../../src/client/verify/ostree-image-reference.js';
import { openRepo } from '../../src/ostree/repo.js';
import { RepoWriter } from '../../src/ostree/write/writer.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { type ForgedEntry, type ForgedImage, forgePlain } from '../support/forge-image.js';
import { importOptions, newRepo } from '../support/import-image.js';

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
