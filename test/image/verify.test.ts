/** What `verify` refuses: images whose digests all match, but which a client would misread. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { verifyImage } from '../../src/image/verify.js';
import {
  type ChunkLayerSpec,
  commitLayerSpec,
  type OstreeLayerSpec,
} from '../../src/layers/spec.js';
import { writeOstreeLayer } from '../../src/layers/write.js';
import { silentLogger } from '../../src/log.js';
import { encodeMetadata } from '../../src/ostree/objects/commit.js';
import { openRepo } from '../../src/ostree/repo.js';
import { openImage } from '../../src/transports/image-reference.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { repoContent } from '../../src/tree/content-location.js';
import type { TreePath } from '../../src/tree/tree.js';
import { buildImage } from '../support/build-image.js';
import { dir, RepoBuilder } from '../support/build-repo.js';
import {
  type ForgedEntry,
  forge,
  type LayerChange,
  objectName,
  writeTar,
} from '../support/forge-image.js';
import { commitLabel, type MemoryImage, memoryImage } from '../support/memory-image.js';
import { scratchDirectory } from '../support/scratch.js';

const built = new RepoBuilder('archive', '', scratchDirectory());
const commit = built.commit(
  built.tree(
    dir({
      etc: dir({}),
      usr: dir({ a: 'a', b: 'a', empty: '', etc: dir({ c: 'c' }), link: { target: 'a//b' } }),
    }),
  ),
);
const repo = openRepo(built.path);
const tree = openCommitTree(repo, commit);
const commitSpec = commitLayerSpec({ ...tree, detachedMetadata: encodeMetadata(new Map()) }, 2);

const chunk = (objects: Readonly<Record<string, readonly TreePath[]>>): ChunkLayerSpec => ({
  kind: 'chunk',
  formatVersion: 2,
  objects: Object.entries(objects).map(([checksum, paths]) => ({
    checksum,
    paths,
    info: repo.fileInfo(checksum),
  })),
  directories: new Map(),
  contentSize: 0,
});
const object = (path: TreePath) => {
  const entry = tree.files.get(path);
  assert.ok(entry && entry.type !== 'directory', path);
  return entry.checksum;
};
const a = { [object('/usr/a')]: ['/usr/a', '/usr/b'] } as const;
const rest = Object.fromEntries(
  (['/usr/empty', '/usr/etc/c', '/usr/link'] as const).map((path) => [object(path), [path]]),
);

async function image(specs: readonly OstreeLayerSpec[], change: Partial<MemoryImage> = {}) {
  const layers = await Promise.all(
    specs.map(async (spec) => {
      const parts: Uint8Array[] = [];
      await writeOstreeLayer(repoContent(repo), spec, (bytes) =>
        parts.push(Uint8Array.from(bytes)),
      );
      return Buffer.concat(parts);
    }),
  );
  return memoryImage({ layers, labels: commitLabel(commit), ...change });
}

const refused = async (
  specs: readonly OstreeLayerSpec[],
  message: RegExp,
  change: Partial<MemoryImage> = {},
) =>
  assert.rejects(verifyImage(await image(specs, change), silentLogger), {
    code: 'CORRUPT',
    message,
  });

const BLOB_CHECKS = ['size', 'digest', 'diff_id', 'tar archive'];
const FILE_CHECKS = [...BLOB_CHECKS, 'paths', 'whiteouts', 'hard links'];

suite('verify', () => {
  test('a valid image passes, and the result counts its layers, objects and paths', async () => {
    const verified = await verifyImage(
      await image([commitSpec, chunk(a), chunk(rest)]),
      silentLogger,
    );
    assert.deepEqual(verified, {
      commit,
      layers: 3,
      derivedLayers: 0,
      plainLayers: 0,
      checked: verified.checked,
      metadataObjects: verified.metadataObjects,
      contentObjects: 4,
      paths: 5,
    });
    assert.deepEqual(verified.checked, [
      {
        kind: 'commit',
        layers: 1,
        checks: [...BLOB_CHECKS, 'checksums of metadata objects', 'completeness of the commit'],
      },
      {
        kind: 'chunk',
        layers: 2,
        checks: [...BLOB_CHECKS, 'checksums of content objects', 'paths'],
      },
    ]);
    assert.equal(
      verified.metadataObjects,
      new Set(tree.directories.flatMap(({ dirtree, dirmeta }) => [dirtree, dirmeta])).size + 2,
    );
  });

  test('a commit without content is one layer', async () => {
    const { image: whole } = await buildImage(dir({ a: dir({}) }));
    assert.equal((await verifyImage(whole, silentLogger)).layers, 1);
  });

  test('derived layers have to be tar archives, and are counted', async () => {
    const { image: whole } = await buildImage(
      dir({ a: dir({ x: 'same' }), b: dir({ x: 'same', y: '' }) }),
    );
    assert.equal((await verifyImage(whole, silentLogger)).paths, 3);
    const layers = [await image([commitSpec]), await image([chunk({ ...a, ...rest })])].flatMap(
      ({ manifest, blob }) =>
        manifest.layers.flatMap((layer) => [...(blob(layer) as Iterable<Uint8Array>)]),
    );
    const derived = (layer: Uint8Array) =>
      memoryImage({
        layers: [...layers, layer],
        labels: {
          ...commitLabel(commit),
          'ostree.final-diffid': memoryImage({ layers }).manifest.layers[1]?.digest,
        },
      });
    const tar = writeTar([{ name: 'opt/x', type: 'file' }]);
    const { derivedLayers, checked } = await verifyImage(derived(tar), silentLogger);
    assert.equal(derivedLayers, 1);
    assert.deepEqual(checked.at(-1), { kind: 'derived', layers: 1, checks: FILE_CHECKS });
    await assert.rejects(verifyImage(derived(Buffer.from('no tar')), silentLogger), {
      code: 'CORRUPT',
      message: /^layer 2 .*: tar archive ends within a header$/,
    });
  });

  test('content objects that are missing, duplicate or superfluous are refused', async () => {
    await refused(
      [commitSpec, chunk(a)],
      new RegExp(`(${Object.keys(rest).join('|')}).* is missing`),
    );
    await refused(
      [commitSpec, chunk(a), chunk({ ...a, ...rest })],
      new RegExp(`${Object.keys(a)[0]} is in two layers`),
    );
    const stray = built.file({ content: 'stray' });
    await refused(
      [commitSpec, chunk({ ...a, ...rest, [stray]: ['/usr/stray'] })],
      new RegExp(`${stray}.* in no tree`),
    );
  });

  test('a path that is missing or linked to another object is refused', async () => {
    const wrong = { [object('/usr/a')]: ['/usr/a'], ...rest } as const;
    await refused([commitSpec, chunk(wrong)], /\/usr\/b .*missing/);
    const exchanged = {
      ...rest,
      [object('/usr/a')]: ['/usr/a', '/usr/etc/c'],
      [object('/usr/etc/c')]: ['/usr/b'],
    } as const;
    await refused([commitSpec, chunk(exchanged)], /\/usr\/(b|etc\/c) is [0-9a-f]{64}/);
  });

  test('a path that is a copy has to match its object', async () => {
    const sound = await image([commitSpec, chunk({ ...a, ...rest })]);
    const asCopy: LayerChange = (layers) => {
      const layer = layers[1] as ForgedEntry[];
      const at = layer.findIndex(({ name }) => name === 'usr/b');
      layer[at] = { name: 'usr/b', type: 'file', mode: 0o644, content: Buffer.from('a') };
    };
    const empty =
      (change: Partial<ForgedEntry>): LayerChange =>
      (layers) => {
        const layer = layers[1] as ForgedEntry[];
        const at = layer.findIndex(({ name }) => name === 'usr/empty');
        layer[at] = { ...(layer[at] as ForgedEntry), ...change };
      };
    const verify = async (change: LayerChange) =>
      verifyImage(await openImage((await forge(sound, change)).imgref), silentLogger);
    assert.equal((await verify(asCopy)).paths, 5);
    for (const change of [
      { content: Buffer.from('evil'), size: 4 },
      { mode: 0o4755 },
      { uid: 1000 },
      { type: 'symlink', linkname: '/tmp/evil' },
    ] as const) {
      await assert.rejects(verify(empty(change)), {
        code: 'CORRUPT',
        message: /\/usr\/empty is [0-9a-f]{64} in the image/,
      });
    }
  });

  test('a path that the commit does not have is refused, which a container would show', async () => {
    const sound = await image([commitSpec, chunk(a), chunk(rest)]);
    const link = (name: string, path: TreePath): ForgedEntry => {
      return { name, type: 'link', linkname: objectName(object(path), 'file') };
    };
    const directory = (name: string): ForgedEntry => ({ name, type: 'directory' });
    const superfluous: readonly (readonly [ForgedEntry, RegExp])[] = [
      [link('usr/stray', '/usr/a'), /^\/usr\/stray is in the image more often than in the commit$/],
      [link('./usr/./stray', '/usr/a'), /^\/usr\/stray is in the image more often/],
      [link('usr/link/x', '/usr/a'), /^\/usr\/link\/x is in the image more often/],
      [{ name: 'usr/.wh.b', type: 'file' }, /^\/usr\/\.wh\.b is in the image more often/],
      [link('usr/empty', '/usr/a'), /^\/usr\/empty is in the image more often/],
      [directory('usr/empty'), /^directory \/usr\/empty is in the image and not in the commit$/],
      [directory('stray'), /^directory \/stray is in the image and not in the commit$/],
    ];
    const verify = async (change: LayerChange) =>
      verifyImage(await openImage((await forge(sound, change)).imgref), silentLogger);
    for (const [entry, message] of superfluous) {
      const change: LayerChange = (layers) => void layers[1]?.push(entry);
      await assert.rejects(verify(change), { code: 'CORRUPT', message });
    }
  });

  test('names of entries may have dots and slashes that change no path', async () => {
    const sound = await image([commitSpec, chunk(a), chunk(rest)]);
    const change: LayerChange = (layers) => {
      const entries = layers[1] as ForgedEntry[];
      const at = entries.findIndex(({ name }) => name === 'usr/b');
      entries[at] = { ...(entries[at] as ForgedEntry), name: './usr//b' };
    };
    const { imgref } = await forge(sound, change);
    assert.equal((await verifyImage(await openImage(imgref), silentLogger)).paths, 5);
  });

  test('metadata objects outside the first layer, or none in it, are refused', async () => {
    const other = commitLayerSpec(openCommitTree(repo, built.commit(built.tree(dir({})))), 2);
    await refused([commitSpec, chunk({ ...a, ...rest }), other], /layer 2/);
    await refused([chunk({ ...a, ...rest }), chunk(a)], /layer 0/);
  });

  test('labels that contradict the layers or the annotations are refused', async () => {
    const specs = [commitSpec, chunk({ ...a, ...rest })];
    await refused(specs, /label ostree\.commit is d{64}, the commit is/, {
      labels: commitLabel('d'.repeat(64)),
    });
    await refused(specs, /annotation ostree\.commit is "x"/, {
      annotations: { 'ostree.commit': 'x' },
    });
    const empty = chunk({});
    await refused([commitSpec, chunk({ ...a, ...rest }), empty, empty], /final-diffid.* twice/);
  });
});
