/**
 * Layers that other programs refuse are refused by `verify` and by a pull. For each of them, the
 * programs are named which refuse it.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { before, suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { ImageReader } from '../../src/oci/image.js';
import { sha256Digest } from '../../src/oci/json.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import {
  changeManifest,
  type ForgedEntry,
  type ForgedImage,
  forge,
  writeTar,
} from '../support/forge-image.js';
import { newRepo } from '../support/import-image.js';
import { tryOstrata, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const BLOCK = 512;
/** Where the modification time begins in a header. */
const MTIME = 136;

type Judge = 'podman' | 'tar' | 'umoci';

interface UnsoundLayer {
  readonly title: string;
  readonly tar: Uint8Array;
  /** What follows the gzip stream of the tar. */
  readonly rest?: Uint8Array;
  readonly message: RegExp;
  readonly refusedBy: readonly Judge[];
}

const file = (name: string, more: Partial<ForgedEntry> = {}): ForgedEntry => ({
  name,
  type: 'file',
  content: Buffer.from('content'),
  ...more,
});
const sound = writeTar([file('usr/a'), file('usr/b')]);

/** `sound` with `text` at an offset of its first header, whose checksum follows. */
function patched(offset: number, text: string): Uint8Array {
  const tar = Buffer.from(sound);
  tar.write(text, offset, 'latin1');
  tar.fill(' ', 148, 156);
  const sum = tar.subarray(0, BLOCK).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return tar;
}

const unsoundLayers: readonly UnsoundLayer[] = [
  {
    title: 'zeros after its gzip stream',
    tar: sound,
    rest: Buffer.alloc(BLOCK),
    message: /its gzip stream ends at byte \d+ of \d+; nothing may follow it/,
    refusedBy: ['podman', 'umoci'],
  },
  {
    title: 'an entry after a lone block of zeros',
    tar: Buffer.concat([sound.subarray(0, 2 * BLOCK), Buffer.alloc(BLOCK), sound]),
    message: /goes on after a lone block of zeros behind entry "usr\/a"/,
    refusedBy: ['podman', 'umoci'],
  },
  {
    title: 'a time that is no number',
    tar: patched(MTIME, 'xyz'),
    message: /tar mtime is not a number/,
    refusedBy: ['podman', 'tar', 'umoci'],
  },
  {
    title: 'an owner of 33 bits',
    tar: patched(108, '\x80\0\0\x01\0\0\0\0'),
    message: /tar uid is 4294967296, expected 0 to 4294967295/,
    refusedBy: ['tar'],
  },
  {
    title: 'a hard link to nothing',
    tar: writeTar([{ name: 'usr/l', type: 'link', linkname: 'usr/none' }]),
    message: /entry "usr\/l": is a link to usr\/none, which the layer does not have/,
    refusedBy: ['podman', 'umoci'],
  },
  {
    title: 'a file name of 300 bytes',
    tar: writeTar([file(`usr/${'n'.repeat(300)}`)]),
    message: /a file name of more than 255 bytes/,
    refusedBy: ['podman', 'umoci'],
  },
  {
    title: 'a whiteout that names no file',
    tar: writeTar([{ name: 'usr/.wh.', type: 'file' }]),
    message: /whiteout "\.wh\." names no file/,
    refusedBy: ['umoci'],
  },
];

suite('a derived layer with', needs('podman', 'umoci', 'tar', 'root'), () => {
  let image: ImageReader;
  before(async () => {
    image = (await buildImage(dir({ usr: dir({ first: 'first' }) }))).image;
  });

  /** The image with a layer on top, whose blob is a gzip stream of `tar` and `rest`. */
  async function imageWith(tar: Uint8Array, rest: Uint8Array): Promise<ForgedImage> {
    const forged = await forge(image, () => {}, {}, [tar]);
    const blob = Buffer.concat([gzipSync(tar), rest]);
    const digest = sha256Digest(blob);
    writeFileSync(join(forged.directory, 'blobs', digest.replace(':', '/')), blob);
    changeManifest(forged, ({ layers }) => {
      Object.assign(layers.at(-1) as object, { digest, size: blob.length });
    });
    return forged;
  }

  /** The judges that refuse an image, or the tar of its last layer. */
  function refusals({ directory }: ForgedImage, tar: Uint8Array): readonly Judge[] {
    const scratch = scratchDirectory();
    const tarPath = join(scratch, 'layer.tar');
    writeFileSync(tarPath, tar);
    const storage = [`--root=${scratch}/graph`, `--runroot=${scratch}/run`, '--storage-driver=vfs'];
    const calls: readonly (readonly [judge: Judge, args: readonly string[]])[] = [
      [
        'podman',
        [...storage, '--events-backend=file', 'pull', '--quiet', `oci:${basename(directory)}:x`],
      ],
      ['tar', ['--list', `--file=${tarPath}`]],
      ['umoci', ['unpack', '--image', `${directory}:x`, join(scratch, 'bundle')]],
    ];
    // podman names the image by its path, which must not have capital letters.
    const cwd = dirname(directory);
    return calls
      .filter(([judge, args]) => tryRun(judge, args, { cwd }).status !== 0)
      .map(([judge]) => judge);
  }

  const verify = ({ imgref }: ForgedImage) => tryOstrata(['verify', imgref]);
  const pull = ({ imgref }: ForgedImage) =>
    tryOstrata(['container', 'image', 'pull', newRepo(), `ostree-unverified-image:${imgref}`]);

  test('sound files is accepted by all', async () => {
    const forged = await imageWith(sound, Buffer.alloc(0));
    assert.deepEqual(refusals(forged, sound), []);
    assert.deepEqual([verify(forged).status, pull(forged).status], [0, 0]);
  });

  for (const { title, tar, rest = Buffer.alloc(0), message, refusedBy } of unsoundLayers) {
    test(`${title} is refused, as by ${refusedBy.join(' and ')}`, async () => {
      const forged = await imageWith(tar, rest);
      assert.deepEqual(refusals(forged, tar), refusedBy);
      for (const { status, stderr } of [verify(forged), pull(forged)]) {
        assert.equal(status, 1);
        assert.match(stderr, message);
      }
    });
  }
});
