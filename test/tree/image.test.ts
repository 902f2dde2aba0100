/** The tree of a container image. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { silentLogger } from '../../src/log.js';
import { OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP } from '../../src/oci/media-types.js';
import type { Descriptor, Manifest } from '../../src/oci/types.js';
import { startFileChecksum } from '../../src/ostree/objects/file.js';
import { objectPath, sha256Hex } from '../../src/ostree/objects/object-name.js';
import { encodeXattrs } from '../../src/ostree/objects/xattr-list.js';
import {
  END_OF_ARCHIVE,
  encodeTarHeader,
  type TarEntry,
  tarPadding,
} from '../../src/tar/header.js';
import { openImageTree } from '../../src/tree/image.js';

type Entry = Pick<TarEntry, 'name'> & Partial<TarEntry> & { readonly content?: string };
const directory = (name: string, mode = 0o755): Entry => ({ name, type: 'directory', mode });
const file = (name: string, content: string, mode = 0o644): Entry => ({
  name,
  type: 'file',
  content,
  mode,
});
const symlink = (name: string, linkname: string): Entry => ({
  name,
  type: 'symlink',
  linkname,
  mode: 0o777,
});
const link = (name: string, linkname: string): Entry => ({ name, type: 'link', linkname });

function tar(entries: readonly Entry[]): Buffer {
  const parts = entries.flatMap(({ content = '', ...entry }) => {
    const bytes = Buffer.from(content);
    const header = encodeTarHeader({
      type: 'file',
      mode: 0,
      uid: 0,
      gid: 0,
      size: bytes.length,
      ...entry,
    });
    return [header, bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, END_OF_ARCHIVE]);
}

function image(...layers: readonly (readonly Entry[])[]) {
  const blobs = new Map<string, Uint8Array>();
  const descriptors = layers.map((entries, i): Descriptor => {
    const plain = tar(entries);
    const blob = i % 2 === 0 ? plain : gzipSync(plain);
    const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
    blobs.set(digest, blob);
    return { mediaType: i % 2 === 0 ? OCI_LAYER : OCI_LAYER_GZIP, digest, size: blob.length };
  });
  const config = { mediaType: OCI_CONFIG, digest: `sha256:${'0'.repeat(64)}`, size: 0 };
  const manifest: Manifest = { schemaVersion: 2, config, layers: descriptors };
  return {
    name: 'test',
    manifest,
    blobs,
    blob: ({ digest }: Pick<Descriptor, 'digest'>) => chunks(blobs.get(digest) as Uint8Array),
  };
}
/** Streams a blob in pieces that end within tar blocks and share one buffer. */
function* chunks(blob: Uint8Array): Generator<Uint8Array> {
  const buffer = Buffer.alloc(700);
  for (let at = 0; at < blob.length; at += buffer.length) {
    const part = blob.subarray(at, at + buffer.length);
    buffer.set(part);
    yield buffer.subarray(0, part.length);
  }
}

async function paths(...layers: readonly (readonly Entry[])[]): Promise<string[]> {
  const tree = await openImageTree(image(...layers));
  const shown = [];
  for (const entry of tree.files) {
    if (entry.type === 'directory') {
      shown.push(`${entry.path}/`.replace('//', '/'));
    } else if (entry.type === 'symlink') {
      shown.push(`${entry.path} -> ${entry.target}`);
    } else {
      shown.push(`${entry.path}=${Buffer.from(await tree.bytes(entry.path)).toString()}`);
    }
  }
  return shown;
}

test('upper layers replace files and are merged into directories', async () => {
  assert.deepEqual(
    await paths(
      [
        directory('./'),
        directory('./a', 0o700),
        file('./a/x', '1'),
        file('a/y', '2'),
        file('b', 'file'),
      ],
      [file('a/x', 'new'), directory('b'), file('b/c', '3')],
      [file('/a/z', 'absolute'), symlink('b', 'a')],
    ),
    ['/', '/a/', '/a/x=new', '/a/y=2', '/a/z=absolute', '/b -> a'],
  );
});

test('whiteouts remove what lower layers have, wherever they are in their layer', async () => {
  const lower = [
    directory('d'),
    file('d/old', ''),
    directory('d/sub'),
    file('d/sub/x', ''),
    file('f', ''),
    file('g', ''),
  ];
  assert.deepEqual(
    await paths(lower, [file('.wh.f', ''), file('.wh.nothing', ''), file('d/.wh.sub', '')]),
    ['/', '/d/', '/d/old=', '/g='],
  );
  for (const layer of [
    [file('.wh.f', ''), file('f', 'new')],
    [file('f', 'new'), file('.wh.f', '')],
  ]) {
    assert.ok((await paths(lower, layer)).includes('/f=new'));
  }
  for (const layer of [
    [directory('d'), file('d/.wh..wh..opq', ''), file('d/new', '1')],
    [file('d/new', '1'), file('d/.wh..wh..opq', '')],
    [file('.wh.d', ''), directory('d'), file('d/new', '1')],
    [directory('d'), file('d/new', '1'), file('.wh.d', '')],
  ]) {
    assert.deepEqual(await paths(lower, layer), ['/', '/d/', '/d/new=1', '/f=', '/g=']);
  }
  assert.deepEqual(await paths(lower, [file('.wh.d', '')], [file('d/sub/y', '')]), [
    '/',
    '/d/',
    '/d/sub/',
    '/d/sub/y=',
    '/f=',
    '/g=',
  ]);
  assert.deepEqual(
    await paths([file('.wh..wh.plnk', ''), directory('.wh..wh.aufs'), file('x', '')]),
    ['/', '/x='],
  );
});

test('symlinks above an entry are followed within the root', async () => {
  const lower = [
    directory('usr'),
    directory('usr/bin'),
    symlink('bin', 'usr/bin'),
    symlink('abs', '/usr'),
    symlink('up', '../../usr'),
  ];
  const tree = await paths(lower, [
    file('bin/a', ''),
    file('abs/b', ''),
    file('up/bin/c', ''),
    file('.wh.up', ''),
  ]);
  assert.deepEqual(tree, [
    '/',
    '/abs -> /usr',
    '/bin -> usr/bin',
    '/usr/',
    '/usr/b=',
    '/usr/bin/',
    '/usr/bin/a=',
    '/usr/bin/c=',
  ]);
  await assert.rejects(paths([symlink('loop', 'loop'), file('loop/x', '')]), {
    code: 'LIMIT',
    message: /layer 0: .*symlinks/,
  });
  for (const name of ['../x', 'a/../../x']) {
    await assert.rejects(paths([file(name, '')]), { code: 'CORRUPT', message: /leaves the image/ });
  }
});

test('hard links keep the content of their target when the target is replaced', async () => {
  assert.deepEqual(
    await paths(
      [file('a', 'same'), link('b', 'a')],
      [file('a', 'other'), link('c', './b'), link('d', '/a')],
    ),
    ['/', '/a=other', '/b=same', '/c=same', '/d=other'],
  );
  assert.deepEqual(
    await paths([file('.wh..wh.plnk/1.2', 'linked'), link('a', '.wh..wh.plnk/1.2')]),
    ['/', '/a=linked'],
  );
  assert.deepEqual(
    await paths([
      link('c', 'b'),
      link('b', 'a'),
      link('d', 'a'),
      file('a', 'late'),
      file('d', 'x'),
    ]),
    ['/', '/a=late', '/b=late', '/c=late', '/d=x'],
  );
  await assert.rejects(paths([link('b', 'a')]), {
    code: 'CORRUPT',
    message: /entry "b".*link to a, which is not a file of the layer or below it/,
  });
});

test('objects of an encapsulated image are verified with their xattrs and left out of the tree', async () => {
  const xattrs = encodeXattrs(new Map([['security.selinux', Buffer.from('label\0')]]));
  const attributes = { uid: 0, gid: 0, mode: 0o100755, size: 5, xattrsBytes: xattrs };
  const checksum = startFileChecksum(attributes).update('shell').digest('hex');
  const object = `sysroot/ostree/repo/objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.file`;
  const raw = (name: string, bytes: Uint8Array) => ({
    ...file(name, ''),
    content: Buffer.from(bytes).toString('latin1'),
  });
  const layer = [
    raw(`${object}-xattrs-link`, xattrs),
    file(object, 'shell', 0o755),
    link('usr/bin/sh', object),
  ];
  const tree = await openImageTree(image([...layer, file('usr/empty', '')]));
  assert.deepEqual(
    Array.from(tree.files, ({ path }) => path),
    ['/', '/sysroot', '/sysroot/ostree', '/usr', '/usr/bin', '/usr/bin/sh', '/usr/empty'],
  );
  const shell = tree.files.get('/usr/bin/sh');
  assert.equal(shell?.type === 'file' && shell.checksum, checksum);
  assert.equal(Buffer.from(shell?.xattrs.get('security.selinux') ?? []).toString(), 'label\0');
  const shared = `sysroot/ostree/repo/objects/${objectPath(sha256Hex(xattrs), 'file-xattrs')}`;
  const linked = [raw(shared, xattrs), link(`${object}-xattrs-link`, shared), ...layer.slice(1)];
  assert.equal((await openImageTree(image(linked))).files.get('/usr/bin/sh')?.type, 'file');
  await assert.rejects(openImageTree(image([layer[0] as Entry, file(object, 'hello', 0o755)])), {
    code: 'CORRUPT',
    message: /reading test: layer 0 \(sha256:.*has the checksum [0-9a-f]{64}/,
  });
});

test('setuid bits, large uids and binary xattrs are kept', async () => {
  const tree = await openImageTree(
    image([
      {
        ...file('x', 'y', 0o4711),
        uid: 3_000_000,
        gid: 7,
        xattrs: new Map([
          ['user.b', Uint8Array.of(0, 255)],
          ['user.a', Uint8Array.of(1)],
        ]),
      },
    ]),
  );
  const { mode, uid, gid, xattrs } = tree.files.get('/x') ?? assert.fail();
  assert.deepEqual(
    [mode, uid, gid, [...xattrs.keys()], xattrs.get('user.b')],
    [0o104711, 3_000_000, 7, ['user.a', 'user.b'], Uint8Array.of(0, 255)],
  );
});

test('content is streamed or read as a whole, and checked again', async () => {
  const big = 'x'.repeat(300_000);
  const made = image([
    file('first', '1'),
    file('big', big),
    file('last', '3'),
    symlink('l', 'big'),
  ]);
  const tree = await openImageTree(made);
  assert.equal(Buffer.from(await tree.bytes('/l')).toString(), big);
  assert.equal(Buffer.from(await tree.bytes('/last')).toString(), '3');
  const parts: Buffer[] = [];
  for await (const chunk of tree.read('/big')) {
    parts.push(Buffer.from(chunk));
  }
  assert.equal(Buffer.concat(parts).toString(), big);
  await assert.rejects(tree.bytes('/gone'), {
    code: 'NOT_FOUND',
    message: /no regular file \/gone in test/,
  });
  const [digest] = made.blobs.keys();
  const changed = Buffer.from(made.blobs.get(digest as string) as Uint8Array);
  changed[512 * 3 + 10] = 0x79;
  made.blobs.set(digest as string, changed);
  await assert.rejects(tree.bytes('/big'), { code: 'CORRUPT', message: /\/big changed/ });
});

test('a blob that does not match its descriptor is refused', async () => {
  const swapped = image([file('a', '1')], [file('b', '2')]);
  const [first, second] = swapped.manifest.layers as [Descriptor, Descriptor];
  swapped.blobs.set(
    first.digest,
    Buffer.concat([swapped.blobs.get(first.digest) as Uint8Array, Buffer.alloc(512)]),
  );
  await assert.rejects(openImageTree(swapped), {
    message: /layer 0 .*has more than the 2048 bytes that are stated/,
  });
  const same = Buffer.from(swapped.blobs.get(first.digest) as Uint8Array).subarray(0, first.size);
  same[600] = 0x32;
  swapped.blobs.set(first.digest, same);
  await assert.rejects(openImageTree(swapped), {
    code: 'CORRUPT',
    message: /layer 0 .*digest: stated sha256:.*, computed/,
  });
  const cut = image([file('a', '1')], [file('b', '2')]);
  cut.blobs.set(second.digest, (cut.blobs.get(second.digest) as Uint8Array).subarray(0, -20));
  await assert.rejects(openImageTree(cut), { code: 'CORRUPT', message: /layer 1/ });
  const other = image([file('a', '1')]);
  const layers = other.manifest.layers.map((layer) => ({ ...layer, mediaType: 'application/x' }));
  await assert.rejects(openImageTree({ ...other, manifest: { ...other.manifest, layers } }), {
    code: 'UNSUPPORTED',
    message: /application\/x/,
  });
});

test('devices are left out with a warning that counts them', async () => {
  const device = tar([file('null', '')]);
  device[156] = 0x33; // character device: the checksum of the header grows by as much
  const sum = Number.parseInt(device.toString('latin1', 148, 155), 8) + 3;
  device.write(sum.toString(8).padStart(7, '0'), 148, 'latin1');
  const made = image([file('x', '')]);
  const digest = `sha256:${createHash('sha256').update(device).digest('hex')}`;
  made.blobs.set(digest, device);
  const manifest = {
    ...made.manifest,
    layers: [{ mediaType: OCI_LAYER, digest, size: device.length }],
  };
  const warnings: string[] = [];
  const tree = await openImageTree(
    { ...made, manifest },
    { ...silentLogger, warn: (message) => warnings.push(message) },
  );
  assert.equal(tree.files.size, 1);
  assert.deepEqual(warnings, ['test: 1 devices or pipes are left out']);
});
