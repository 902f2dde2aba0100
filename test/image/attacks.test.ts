/**
 * Layers that lie about their objects: the import of each is refused with the reason, and nothing
 * in the repository refers to what was imported until then.
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { pullImage } from '../../src/client/pull.js';
import type { ErrorCode } from '../../src/errors.js';
import { readOstreeLayer } from '../../src/layers/read.js';
import type { ImageReader } from '../../src/oci/image.js';
import { LayerTar } from '../../src/oci/layer-tar.js';
import { encodeDirtree } from '../../src/ostree/objects/dirtree.js';
import { objectPath, sha256Hex } from '../../src/ostree/objects/object-name.js';
import { encodeTarHeader } from '../../src/tar/header.js';
import { openImage } from '../../src/transports/image-reference.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import {
  extraObject,
  type ForgedEntry,
  forge,
  type LayerChange,
  OBJECTS,
  objectName,
} from '../support/forge-image.js';
import {
  assertRefused,
  filesBelow,
  importInto,
  importOptions,
  newRepo,
} from '../support/import-image.js';
import { scratchDirectory } from '../support/scratch.js';
import { writeWholeDelta } from '../support/write-delta.js';

const spec = dir({
  bin: dir({ sh: '#!shell' }),
  usr: dir({ a: 'first', b: { content: 'second', mode: 0o755 }, link: { target: 'a' } }),
});
let image: ImageReader;
/** A repository into which the image was pulled. */
const pulled = newRepo();
before(async () => {
  const built = await buildImage(spec);
  image = built.image;
  await pullImage(importOptions(pulled, built.imgref));
});

/** Changes the entries of one layer. */
const inLayer =
  (index: number, change: (entries: ForgedEntry[]) => void): LayerChange =>
  (layers) => {
    const entries = layers[index];
    assert.ok(entries);
    change(entries);
  };

/** Adds an entry at the end of a layer. */
const add = (index: number, ...added: readonly ForgedEntry[]): LayerChange =>
  inLayer(index, (entries) => void entries.push(...added));

const firstOfKind = (entries: readonly ForgedEntry[], kind: string): number =>
  entries.findIndex(({ name }) => name.startsWith(OBJECTS) && name.endsWith(`.${kind}`));

/** Changes the first object of a kind in a layer. */
const changeObject = (
  index: number,
  kind: string,
  change: (entry: ForgedEntry) => Partial<ForgedEntry>,
): LayerChange =>
  inLayer(index, (entries) => {
    const position = firstOfKind(entries, kind);
    const entry = entries[position];
    assert.ok(entry);
    entries[position] = { ...entry, ...change(entry) };
  });

/** Removes the first object of a kind from a layer. */
const removeObject = (index: number, kind: string): LayerChange =>
  inLayer(index, (entries) => void entries.splice(firstOfKind(entries, kind), 1));

/** Replaces the first content object of the second layer by an entry of another type. */
const replaceContent = (type: ForgedEntry['type'], linkname: string): LayerChange =>
  inLayer(1, (entries) => {
    const position = firstOfKind(entries, 'file');
    const name = entries[position]?.name;
    assert.ok(name);
    entries[position] = { name, type, linkname };
  });

function withLastBitFlipped({ content = Buffer.alloc(0) }: ForgedEntry): Partial<ForgedEntry> {
  const changed = Buffer.from(content);
  changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
  return { content: changed };
}

/** What is wrong, how the layers are changed, and how the import fails. */
type Attack = readonly [title: string, change: LayerChange, code: ErrorCode, message: RegExp];

const objectAttacks: readonly Attack[] = [
  [
    'a content object with other bytes',
    changeObject(1, 'file', () => ({ content: Buffer.from('evil') })),
    'CORRUPT',
    /layer 1 .*\.file": has the checksum [0-9a-f]{64}$/,
  ],
  [
    'a content object with another mode',
    changeObject(1, 'file', () => ({ mode: 0o4755 })),
    'CORRUPT',
    /layer 1 .*\.file": has the checksum [0-9a-f]{64}$/,
  ],
  [
    'a dirtree with other bytes',
    changeObject(0, 'dirtree', () => ({ content: encodeDirtree({ files: [], dirs: [] }) })),
    'CORRUPT',
    /layer 0 .*\.dirtree": has the checksum [0-9a-f]{64}$/,
  ],
  [
    'a commit with other bytes',
    changeObject(0, 'commit', withLastBitFlipped),
    'CORRUPT',
    /layer 0 .*\.commit": has the checksum [0-9a-f]{64}$/,
  ],
  [
    'detached metadata of another commit',
    inLayer(0, (entries) => {
      const name = objectName('a'.repeat(64), 'commitmeta');
      entries.splice(firstOfKind(entries, 'commit') + 1, 0, { name, type: 'file' });
    }),
    'CORRUPT',
    /layer 0 .*a\.commitmeta": does not come directly after its commit$/,
  ],
  [
    'a content object that is in no tree',
    add(1, ...extraObject(Buffer.from('extra'))),
    'CORRUPT',
    /layer 1 .*: content object [0-9a-f]{64} is in no tree of the commit$/,
  ],
  [
    'a metadata object that is in no tree',
    (layers) => {
      const directory = { name: 'x', dirtree: 'b'.repeat(64), dirmeta: 'c'.repeat(64) };
      const content = encodeDirtree({ files: [], dirs: [directory] });
      const name = objectName(sha256Hex(content), 'dirtree');
      add(0, { name, type: 'file', content })(layers);
    },
    'CORRUPT',
    /layer 0 .*: object [0-9a-f]{64}\.dirtree is in no tree of the commit$/,
  ],
  [
    'a missing metadata object',
    removeObject(0, 'dirmeta'),
    'CORRUPT',
    /layer 0 .*: object [0-9a-f]{64}\.dirmeta is missing$/,
  ],
  [
    'an object that occurs twice',
    inLayer(1, (entries) => {
      const position = firstOfKind(entries, 'file-xattrs-link');
      entries.push(...entries.slice(position, position + 2));
    }),
    'CORRUPT',
    /layer 1 .*\.file": occurs twice$/,
  ],
  [
    'a metadata object in a chunk layer',
    (layers) => {
      const dirtree = layers[0]?.find(({ name }) => name.endsWith('.dirtree'));
      assert.ok(dirtree);
      add(1, dirtree)(layers);
    },
    'CORRUPT',
    /layer 1 .*\.dirtree": is a metadata object in a chunk layer$/,
  ],
  [
    'a layer without a commit as the first layer',
    inLayer(0, (entries) => void entries.splice(0)),
    'CORRUPT',
    /layer 0 .*: the layer holds no commit$/,
  ],
  [
    'a commit that is not the first object',
    inLayer(0, (entries) => {
      const [commit] = entries.splice(firstOfKind(entries, 'commit'), 1);
      assert.ok(commit);
      entries.push(commit);
    }),
    'CORRUPT',
    /layer 0 .*: the first object is no commit$/,
  ],
  [
    'a dirtree of 11 MiB',
    (layers) => {
      const content = Buffer.alloc(11 << 20);
      add(0, { name: objectName(sha256Hex(content), 'dirtree'), type: 'file', content })(layers);
    },
    'LIMIT',
    /layer 0 .*: 11534336 bytes, at most 10485760$/,
  ],
];

const xattrAttacks: readonly Attack[] = [
  [
    'content without its xattrs',
    removeObject(1, 'file-xattrs-link'),
    'CORRUPT',
    /layer 1 .*\.file": no xattrs precede it$/,
  ],
  [
    'xattrs without content',
    add(1, { name: objectName('d'.repeat(64), 'file-xattrs-link'), type: 'file' }),
    'CORRUPT',
    /layer 1 .*: object d{64} has xattrs and no content$/,
  ],
  [
    'a link to xattrs that are in no layer',
    changeObject(1, 'file-xattrs-link', () => ({
      type: 'link',
      linkname: objectName('e'.repeat(64), 'file-xattrs'),
    })),
    'CORRUPT',
    /layer 1 .*: is a link to .*e\.file-xattrs, which does not precede it$/,
  ],
  [
    'shared xattrs with other bytes',
    add(1, { name: objectName('a'.repeat(64), 'file-xattrs'), type: 'file' }),
    'CORRUPT',
    /layer 1 .*\.file-xattrs": has the checksum [0-9a-f]{64}$/,
  ],
  [
    'xattrs of 2 MiB',
    add(1, {
      name: objectName('f'.repeat(64), 'file-xattrs-link'),
      type: 'file',
      content: Buffer.alloc(2 << 20),
    }),
    'LIMIT',
    /layer 1 .*: 2097152 bytes, at most 1048576$/,
  ],
];

const pathAttacks: readonly Attack[] = [
  [
    'a path with ..',
    add(1, { name: 'usr/../../etc/passwd', type: 'symlink', linkname: 'x' }),
    'CORRUPT',
    /layer 1 .*: entry "usr\/\.\.\/\.\.\/etc\/passwd": leaves the image$/,
  ],
  [
    'an absolute path',
    add(1, { name: '/etc/passwd', type: 'file' }),
    'CORRUPT',
    /layer 1 .*: entry "\/etc\/passwd": leaves the image$/,
  ],
  [
    'a directory whose name no file system could hold',
    add(1, { name: `usr/${'n'.repeat(256)}/`, type: 'directory' }),
    'LIMIT',
    /layer 1 .*: entry "usr\/n+\/": a file name of more than 255 bytes$/,
  ],
  [
    'a whiteout that names no file',
    add(1, { name: 'usr/.wh.', type: 'file' }),
    'CORRUPT',
    /layer 1 .*: entry "usr\/.wh.": whiteout ".wh." names no file$/,
  ],
  [
    'a path among the objects that is not one of an object',
    add(1, { name: `${OBJECTS}../../../../etc/passwd`, type: 'file' }),
    'CORRUPT',
    /layer 1 .*\/etc\/passwd": is not the path of an object$/,
  ],
  [
    'a content object that is a symlink to a file of the host',
    replaceContent('symlink', '/etc/shadow'),
    'CORRUPT',
    /layer 1 .*\.file": has the checksum [0-9a-f]{64}$/,
  ],
  [
    'a metadata object that is a symlink to a file of the host',
    add(0, {
      name: objectName('a'.repeat(64), 'dirtree'),
      type: 'symlink',
      linkname: '/etc/shadow',
    }),
    'CORRUPT',
    /layer 0 .*\.dirtree": is a symlink$/,
  ],
  [
    'a content object that is a hard link to a file of the host',
    replaceContent('link', '/etc/shadow'),
    'CORRUPT',
    /layer 1 .*\.file": is a link$/,
  ],
  [
    'a hard link to a file of the host',
    add(1, { name: 'usr/c', type: 'link', linkname: 'etc/shadow' }),
    'CORRUPT',
    /layer 1 .*: entry "usr\/c": is a link to etc\/shadow, which is no object$/,
  ],
  [
    'a hard link to an object that is in no layer',
    add(1, { name: 'usr/c', type: 'link', linkname: objectName('a'.repeat(64), 'file') }),
    'CORRUPT',
    /layer 1 .*: entry "usr\/c": is a link to .*a\.file, which does not precede it$/,
  ],
  [
    'a device node',
    add(1, { name: 'usr/null', type: 'character device' }),
    'CORRUPT',
    /layer 1 .*: entry "usr\/null": is a character device$/,
  ],
];

test('a forged image in which nothing was changed is accepted', async () => {
  const repo = newRepo();
  const { commit } = await importInto(repo, (await forge(image, () => {})).imgref);
  assert.ok(existsSync(join(repo, 'objects', objectPath(commit, 'commit'))));
  assert.ok(!existsSync(join(repo, 'state', `${commit}.commitpartial`)));
});

suite('an import refuses', () => {
  for (const [title, change, code, message] of [
    ...objectAttacks,
    ...xattrAttacks,
    ...pathAttacks,
  ]) {
    test(title, async () => {
      await assertRefused(await forge(image, change), code, message);
    });

    test(`${title} that comes by a delta`, async () => {
      const forged = await forge(image, change);
      const delta = { imgref: await writeWholeDelta(image, await openImage(forged.imgref)) };
      const repo = join(scratchDirectory(), 'repo');
      cpSync(pulled, repo, { recursive: true });
      await assertRefused(forged, code, message, { repo, delta });
    });
  }

  test('a layer with more metadata than any commit has', async () => {
    async function* layer() {
      // Objects that are as large as one may be, and all different.
      const object = Buffer.alloc(10 << 20);
      for (const kind of ['commit', ...Array<string>(26).fill('dirtree')]) {
        object.writeUInt32LE(object.readUInt32LE() + 1);
        const name = objectName(sha256Hex(object), kind);
        const size = object.length;
        yield encodeTarHeader({ name, type: 'file', mode: 0o644, uid: 0, gid: 0, size });
        yield object;
      }
    }
    await assert.rejects(readOstreeLayer(new LayerTar(layer(), 1 << 20), 'commit'), {
      code: 'LIMIT',
      message: /metadata objects of more than 268435456 bytes$/,
    });
  });

  test('an object that is larger than the disk', async () => {
    const [xattrs, file] = extraObject(Buffer.from('x'));
    const forged = await forge(image, add(1, xattrs, { ...file, size: 2 ** 45 }));
    const repo = newRepo();
    await assert.rejects(importInto(repo, forged.imgref), {
      code: 'IO',
      message: /: no space: an object of 35184372088832 bytes, \d+ bytes may be used /,
    });
    assert.ok(!existsSync(join(repo, 'refs/heads/os')));
    assert.deepEqual(filesBelow(join(repo, 'tmp')), []);
  });
});

test('an image can be imported after a forged copy of it was refused', async () => {
  const repo = newRepo();
  const forged = await forge(image, add(1, ...extraObject(Buffer.from('extra'))));
  await assert.rejects(importInto(repo, forged.imgref), /is in no tree of the commit$/);
  await importInto(repo, (await forge(image, () => {})).imgref);
});
