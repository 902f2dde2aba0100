/** Images that lie: each is refused with the reason, and nothing in the repository refers to what came of it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { pullImage } from '../../src/client/pull.js';
import { unencapsulate } from '../../src/client/unencapsulate.js';
import { readOstreeLayer } from '../../src/layers/read.js';
import { silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import { sha256Digest } from '../../src/oci/json.js';
import { encodeDirtree } from '../../src/ostree/objects/dirtree.js';
import { startFileChecksum } from '../../src/ostree/objects/file.js';
import { objectPath, sha256Hex } from '../../src/ostree/objects/object-name.js';
import { openRepo } from '../../src/ostree/repo.js';
import { encodeTarHeader } from '../../src/tar/header.js';
import { openImage } from '../../src/transports/image-reference.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { buildImage } from '../support/build-image.js';
import { dir, RepoBuilder } from '../support/build-repo.js';
import {
  changeManifest,
  type ForgedEntry,
  type ForgedImage,
  forge,
  type LayerChange,
  writeTar,
} from '../support/forge-image.js';
import { scratchDirectory } from '../support/scratch.js';

const OBJECTS = 'sysroot/ostree/repo/objects/';
const spec = dir({
  bin: dir({ sh: '#!shell' }),
  usr: dir({ a: 'first', b: { content: 'second', mode: 0o755 }, link: { target: 'a' } }),
});

let image: ImageReader;
before(async () => {
  image = (await buildImage(spec)).image;
});

const repoWithout = () => new RepoBuilder('archive', '', scratchDirectory()).path;

function importInto(repo: string, imgref: string, jobs = 2) {
  return unencapsulate({
    repo,
    source: { verification: { kind: 'none' }, imgref },
    jobs,
    fsync: false,
    log: silentLogger,
    signal: new AbortController().signal,
    writeRef: 'os',
  });
}

function filesBelow(directory: string): string[] {
  return existsSync(directory)
    ? readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    : [];
}

/** The import fails with `message`; no ref, and nothing staged, is there afterwards. */
async function refused({ imgref }: ForgedImage, message: RegExp): Promise<void> {
  const repo = repoWithout();
  await assert.rejects(importInto(repo, imgref), (error: Error) => {
    assert.match(error.message, message);
    assert.match(error.message, /^importing oci:/);
    return true;
  });
  assert.deepEqual(filesBelow(join(repo, 'refs')), []);
  assert.deepEqual(filesBelow(join(repo, 'tmp')), []);
}

const objectOf = (layer: readonly ForgedEntry[], kind: string) =>
  layer.findIndex(({ name }) => name.startsWith(OBJECTS) && name.endsWith(`.${kind}`));
const nameOf = (checksum: string, kind: string) => `${OBJECTS}${objectPath(checksum, kind)}`;

/** Entries of a content object that is in no tree. */
function extraObject(content: Buffer): ForgedEntry[] {
  const header = {
    uid: 0,
    gid: 0,
    mode: 0o100644,
    size: content.length,
    xattrsBytes: new Uint8Array(),
  };
  const checksum = startFileChecksum(header).update(content).digest('hex');
  return [
    { name: nameOf(checksum, 'file-xattrs-link'), type: 'file' },
    { name: nameOf(checksum, 'file'), type: 'file', content },
  ];
}

suite('images that lie are refused', () => {
  test('the image as it is, is not', async () => {
    const repo = repoWithout();
    const { commit } = await importInto(repo, (await forge(image, () => {})).imgref);
    assert.ok(existsSync(join(repo, 'objects', objectPath(commit, 'commit'))));
    assert.ok(!existsSync(join(repo, 'state', `${commit}.commitpartial`)));
  });

  const cases: readonly (readonly [name: string, change: LayerChange, message: RegExp])[] = [
    [
      'a content object of other bytes',
      (layers) => {
        const layer = layers[1] as ForgedEntry[];
        const at = objectOf(layer, 'file');
        layer[at] = { ...(layer[at] as ForgedEntry), content: Buffer.from('evil') };
      },
      /layer 1 .*has the checksum/,
    ],
    [
      'a content object of another mode',
      (layers) => {
        const layer = layers[1] as ForgedEntry[];
        const at = objectOf(layer, 'file');
        layer[at] = { ...(layer[at] as ForgedEntry), mode: 0o4755 };
      },
      /layer 1 .*has the checksum/,
    ],
    [
      'a dirtree of other bytes',
      (layers) => {
        const layer = layers[0] as ForgedEntry[];
        const at = objectOf(layer, 'dirtree');
        layer[at] = {
          ...(layer[at] as ForgedEntry),
          content: encodeDirtree({ files: [], dirs: [] }),
        };
      },
      /layer 0 .*dirtree.*has the checksum/,
    ],
    [
      'a commit of other bytes',
      (layers) => {
        const layer = layers[0] as ForgedEntry[];
        const at = objectOf(layer, 'commit');
        const content = Buffer.from(layer[at]?.content ?? []);
        content[content.length - 1] = (content.at(-1) as number) ^ 1;
        layer[at] = { ...(layer[at] as ForgedEntry), content };
      },
      /layer 0 .*commit.*has the checksum/,
    ],
    [
      'detached metadata of another commit',
      (layers) => {
        const layer = layers[0] as ForgedEntry[];
        const entry: ForgedEntry = { name: nameOf('a'.repeat(64), 'commitmeta'), type: 'file' };
        layer.splice(objectOf(layer, 'commit') + 1, 0, entry);
      },
      /does not come directly after its commit/,
    ],
    [
      'a content object that is in no tree',
      (layers) => layers[1]?.push(...extraObject(Buffer.from('extra'))),
      /is in no tree of the commit/,
    ],
    [
      'a metadata object that is in no tree',
      (layers) => {
        const content = encodeDirtree({
          files: [],
          dirs: [{ name: 'x', dirtree: 'b'.repeat(64), dirmeta: 'c'.repeat(64) }],
        });
        layers[0]?.push({ name: nameOf(sha256Hex(content), 'dirtree'), type: 'file', content });
      },
      /dirtree is in no tree of the commit/,
    ],
    [
      'a missing metadata object',
      (layers) => void layers[0]?.splice(objectOf(layers[0], 'dirmeta'), 1),
      /dirmeta is missing/,
    ],
    [
      'an object twice',
      (layers) => {
        const layer = layers[1] as ForgedEntry[];
        const at = objectOf(layer, 'file-xattrs-link');
        layer.push(...layer.slice(at, at + 2));
      },
      /occurs twice/,
    ],
    [
      'a metadata object in a chunk layer',
      (layers) => {
        const [first, second] = layers as [ForgedEntry[], ForgedEntry[]];
        second.push(first[objectOf(first, 'dirtree')] as ForgedEntry);
      },
      /metadata object in a chunk layer/,
    ],
    [
      'content without its xattrs',
      (layers) => void layers[1]?.splice(objectOf(layers[1], 'file-xattrs-link'), 1),
      /no xattrs precede it/,
    ],
    [
      'xattrs without content',
      (layers) =>
        void layers[1]?.push({ name: nameOf('d'.repeat(64), 'file-xattrs-link'), type: 'file' }),
      /has xattrs and no content/,
    ],
    [
      'xattrs linked to nothing',
      (layers) => {
        const layer = layers[1] as ForgedEntry[];
        const at = objectOf(layer, 'file-xattrs-link');
        const linkname = nameOf('e'.repeat(64), 'file-xattrs');
        layer[at] = { ...(layer[at] as ForgedEntry), type: 'link', linkname };
      },
      /which does not precede it/,
    ],
    [
      'metadata of 11 MiB',
      (layers) => {
        const content = Buffer.alloc(11 << 20);
        layers[0]?.push({ name: nameOf(sha256Hex(content), 'dirtree'), type: 'file', content });
      },
      /11534336 bytes, at most 10485760/,
    ],
    [
      'xattrs of 2 MiB',
      (layers) => {
        const content = Buffer.alloc(2 << 20);
        layers[1]?.push({
          name: nameOf('f'.repeat(64), 'file-xattrs-link'),
          type: 'file',
          content,
        });
      },
      /2097152 bytes, at most 1048576/,
    ],
    [
      'a path with ..',
      (layers) =>
        void layers[1]?.push({ name: 'usr/../../etc/passwd', type: 'symlink', linkname: 'x' }),
      /leaves the image/,
    ],
    [
      'an absolute path',
      (layers) => void layers[1]?.push({ name: '/etc/passwd', type: 'file' }),
      /leaves the image/,
    ],
    [
      'a path in the store that is no object',
      (layers) => void layers[1]?.push({ name: `${OBJECTS}../../../../etc/passwd`, type: 'file' }),
      /is not the path of an object/,
    ],
    [
      'an object that is a symlink out of the store',
      (layers) => {
        const layer = layers[1] as ForgedEntry[];
        const at = objectOf(layer, 'file');
        layer[at] = { name: layer[at]?.name as string, type: 'symlink', linkname: '/etc/shadow' };
      },
      /has the checksum/,
    ],
    [
      'a metadata object that is a symlink',
      (layers) =>
        void layers[0]?.push({
          name: nameOf('a'.repeat(64), 'dirtree'),
          type: 'symlink',
          linkname: '/etc/shadow',
        }),
      /is a symlink/,
    ],
    [
      'a hard link out of the store',
      (layers) => void layers[1]?.push({ name: 'usr/c', type: 'link', linkname: 'etc/shadow' }),
      /which is no object/,
    ],
    [
      'a hard link to an object of no layer',
      (layers) =>
        void layers[1]?.push({
          name: 'usr/c',
          type: 'link',
          linkname: nameOf('a'.repeat(64), 'file'),
        }),
      /which does not precede it/,
    ],
    [
      'shared xattrs of other bytes',
      (layers) =>
        void layers[1]?.push({ name: nameOf('a'.repeat(64), 'file-xattrs'), type: 'file' }),
      /file-xattrs.*has the checksum/,
    ],
    [
      'an object that is a hard link',
      (layers) => {
        const layer = layers[1] as ForgedEntry[];
        const at = objectOf(layer, 'file');
        layer[at] = { name: layer[at]?.name as string, type: 'link', linkname: '/etc/shadow' };
      },
      /is a link/,
    ],
    [
      'a device node',
      (layers) => void layers[1]?.push({ name: 'usr/null', type: 'character device' }),
      /is a character device/,
    ],
    ['no commit at all', (layers) => void layers[0]?.splice(0), /holds no commit/],
    [
      'a commit that is not the first object',
      (layers) => {
        const layer = layers[0] as ForgedEntry[];
        layer.push(...layer.splice(objectOf(layer, 'commit'), 1));
      },
      /the first object is no commit/,
    ],
  ];
  for (const [name, change, message] of cases) {
    test(name, async () => {
      await refused(await forge(image, change), message);
    });
  }

  test('a layer that is there twice, also in the config', async () => {
    const forged = await forge(
      image,
      (layers) => void layers.splice(2, 0, layers[1] as ForgedEntry[]),
    );
    await refused(forged, /occurs twice among the layers of the commit/);
  });

  test('a layer that is missing', async () => {
    await refused(
      await forge(image, (layers) => void layers.splice(1, 1)),
      /are in no layer, the first is/,
    );
  });

  test('a layer dropped from the manifest alone', async () => {
    const forged = await forge(image, () => {});
    changeManifest(forged, ({ layers }) => layers.splice(1, 1));
    await refused(forged, /2 layers in the manifest, 3 diff_ids/);
  });

  test('a label that ends the commit too early, too late, or nowhere', async () => {
    const diffIds = JSON.parse(Buffer.from(await image.config()).toString()).rootfs
      .diff_ids as string[];
    const forged = await forge(image, () => {}, { 'ostree.final-diffid': diffIds[1] as string });
    await assert.rejects(
      importInto(repoWithout(), forged.imgref),
      /the image has 1 layers that are not part of the commit/,
    );
    const pull = pullImage({
      repo: repoWithout(),
      source: { verification: { kind: 'none' }, imgref: forged.imgref },
      jobs: 1,
      log: silentLogger,
      signal: new AbortController().signal,
    });
    await assert.rejects(pull, /are in no layer/);
    await refused(
      await forge(image, () => {}, { 'ostree.final-diffid': `sha256:${'0'.repeat(64)}` }),
      /no diff_id of the image/,
    );
  });

  test('a label that names another commit', async () => {
    await refused(
      await forge(image, () => {}, { 'ostree.commit': 'a'.repeat(64) }),
      /the commit is/,
    );
  });

  test('a layer with another diff_id, another digest, another size', async () => {
    const digest = `sha256:${randomBytes(32).toString('hex')}`;
    const lies: readonly (readonly [object, RegExp])[] = [
      [{ size: 100 }, /more than the 100 bytes that are stated/],
      [{ size: 1 << 20 }, /size: stated/],
      [{ digest }, /no such file|NOT_FOUND|ENOENT/],
    ];
    for (const [lie, message] of lies) {
      const forged = await forge(image, () => {});
      changeManifest(forged, ({ layers }) => Object.assign(layers[1] as object, lie));
      await refused(forged, message);
    }
    const forged = await forge(image, () => {});
    changeManifest(forged, ({ layers }) => layers.splice(1, 1, layers[2]));
    await refused(forged, /diff_id: stated|occurs twice/);
  });

  test('a blob of other bytes that hold the same tar', async () => {
    const forged = await forge(image, () => {});
    changeManifest(forged, ({ layers }) => {
      const { digest } = layers[1] as { readonly digest: string };
      const path = join(forged.directory, 'blobs', digest.replace(':', '/'));
      const blob = readFileSync(path);
      blob[4] = 1; // the time in gzip's header
      writeFileSync(path, blob);
    });
    await refused(forged, /layer 1 .*digest: stated sha256:\w+, computed/);
  });

  test('a blob that is missing: the layers that are there stay', async () => {
    const { imgref, directory } = await forge(image, () => {});
    const layers = (await openImage(imgref)).manifest.layers.slice(1);
    // The last one to be fetched.
    const { digest } = layers.reduce((a, b) => (b.size > a.size ? b : a));
    const path = join(directory, 'blobs', digest.replace(':', '/'));
    renameSync(path, `${path}.away`);
    const repo = repoWithout();
    await assert.rejects(importInto(repo, imgref, 1), /ENOENT/);
    renameSync(`${path}.away`, path);
    assert.deepEqual(filesBelow(join(repo, 'tmp')), []);
    // The commit layer is known without its ref.
    assert.equal((await importInto(repo, imgref)).layersPresent, layers.length);
  });

  test('a layer that expands without end', async () => {
    const header = writeTar([{ name: 'usr/z', type: 'file', size: 2 ** 32 }]).subarray(0, 512);
    // gzip files one after the other are one: 64 MiB of zeros in 64 KiB, 20 times.
    const zeros = gzipSync(Buffer.alloc(64 << 20));
    const bomb = Buffer.concat([gzipSync(header), ...Array.from({ length: 20 }, () => zeros)]);
    const forged = await forge(image, () => {});
    const digest = sha256Digest(bomb);
    writeFileSync(join(forged.directory, 'blobs', digest.replace(':', '/')), bomb);
    changeManifest(forged, ({ layers }) =>
      Object.assign(layers[1] as object, { digest, size: bomb.length }),
    );
    await refused(forged, /expands to more than/);
  });

  test('more metadata than a commit has', async () => {
    async function* layer() {
      // Of the largest size that one object may have, and all different.
      const object = Buffer.alloc(10 << 20);
      for (const kind of ['commit', ...Array(26).fill('dirtree')]) {
        object.writeUInt32LE(object.readUInt32LE() + 1);
        const name = nameOf(sha256Hex(object), kind);
        yield encodeTarHeader({
          name,
          type: 'file',
          mode: 0o644,
          uid: 0,
          gid: 0,
          size: object.length,
        });
        yield object;
      }
    }
    await assert.rejects(
      readOstreeLayer(layer(), 'commit'),
      /metadata objects of more than 268435456 bytes/,
    );
  });

  test('an object that is larger than the disk', async () => {
    const [xattrs, file] = extraObject(Buffer.from('x')) as [ForgedEntry, ForgedEntry];
    const huge = { ...file, size: 2 ** 45 };
    const { imgref } = await forge(image, (layers) => void layers[1]?.push(xattrs, huge));
    const repo = repoWithout();
    await assert.rejects(importInto(repo, imgref), /no space: an object of 35184372088832 bytes/);
    assert.ok(!existsSync(join(repo, 'refs/heads/os')));
    assert.deepEqual(filesBelow(join(repo, 'tmp')), []);
  });

  test('a config that gives a layer of its own the diff_id of another', async () => {
    const layer = (text: string): ForgedEntry[] => [
      { name: 'usr/derived', type: 'file', content: Buffer.from(text), mtime: 1 },
    ];
    const good = await forge(image, () => {}, {}, [layer('good')]);
    const evil = await forge(image, () => {}, {}, [layer('evil')]);
    const diffId = sha256Digest(writeTar(layer('good')));
    const lying = await forge(
      image,
      () => {},
      {},
      [layer('evil')],
      (diffIds) => diffIds.splice(-1, 1, diffId),
    );
    const repo = repoWithout();
    const pull = ({ imgref }: ForgedImage) =>
      pullImage({
        repo,
        source: { verification: { kind: 'none' }, imgref },
        jobs: 2,
        fsync: false,
        log: silentLogger,
        signal: new AbortController().signal,
      });
    await assert.rejects(pull(lying), /diff_id: stated/);
    await pull(evil);
    await assert.rejects(pull(lying), /diff_id: stated/);
    // As after a pull that did not get to its end: the layer is there, and no image that tells its diff_id.
    rmSync(join(repo, 'refs/heads/ostree/container/image'), { recursive: true });
    await assert.rejects(pull(lying), /diff_id: stated/);
    const { mergeCommit } = await pull(good);
    const tree = openCommitTree(openRepo(repo), mergeCommit);
    assert.equal(Buffer.from(await tree.bytes('/usr/derived')).toString(), 'good');
    // A layer of the commit would be taken for another one from then on.
    for (const lie of [diffId, `sha256:${'0'.repeat(64)}`]) {
      const change = (diffIds: string[]) => diffIds.splice(1, 1, lie);
      await assert.rejects(pull(await forge(image, () => {}, {}, [], change)), /diff_id: stated/);
    }
  });

  test('nothing is refused for good: the true image can be imported after it', async () => {
    const repo = repoWithout();
    const forged = await forge(
      image,
      (layers) => void layers[1]?.push(...extraObject(Buffer.from('extra'))),
    );
    await assert.rejects(importInto(repo, forged.imgref));
    await importInto(repo, (await forge(image, () => {})).imgref);
    rmSync(repo, { recursive: true });
  });
});
