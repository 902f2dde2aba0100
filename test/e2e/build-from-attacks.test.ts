/**
 * Images that are made to be harmful: `build --from` refuses each with one line, before anything is
 * written to the destination, and leaves no spool.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { OCI_LAYER_ZSTD } from '../../src/oci/media-types.js';
import type { Descriptor } from '../../src/oci/types.js';
import { END_OF_ARCHIVE } from '../../src/tar/header.js';
import { openImage } from '../../src/transports/image-reference.js';
import { openImageTree } from '../../src/tree/image.js';
import {
  changeManifest,
  type ForgedEntry,
  type ForgedImage,
  forgePlain,
  writeLayout,
  writeTar,
} from '../support/forge-image.js';
import { filesBelow } from '../support/import-image.js';
import { ostrata, ostrataProgram, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { zstdOfZeros } from '../support/zstd-bomb.js';

const file = (name: string, more: Partial<ForgedEntry> = {}): ForgedEntry => ({
  ...{ name, type: 'file', content: Buffer.from(name), mode: 0o644 },
  ...more,
});
const directory = (name: string): ForgedEntry => ({ name, type: 'directory', mode: 0o755 });
const symlink = (name: string, linkname: string): ForgedEntry => ({
  ...{ name, type: 'symlink', linkname, mode: 0o777 },
});
const link = (name: string, linkname: string): ForgedEntry => ({ name, type: 'link', linkname });

/** What is wrong, the entries of the second layer, and the error. */
const ENTRIES: readonly (readonly [string, readonly ForgedEntry[], RegExp])[] = [
  ['a name with ..', [file('usr/../../etc/passwd')], /entry "usr\/\.\..*": leaves the image/],
  ['a link to a name with ..', [link('x', '../../etc/passwd')], /entry "x": leaves the image/],
  ['a link to nowhere', [link('x', 'etc/passwd')], /entry "x": is a link to etc\/passwd, which/],
  ['a link to a directory', [link('x', 'usr')], /entry "x": is a link to usr, which/],
  ['a link to the root', [link('x', '/')], /entry "x": is a link to \/, which/],
  ['a link to itself', [link('usr/a', 'usr/a')], /entry "usr\/a": is a link to itself/],
  ['a file as the root', [file('./')], /entry "\.\/": is the root of the image and not a dir/],
  ['a file below a file', [file('x'), file('x/y')], /entry "x\/y": lies below x, which its layer/],
  ['a whiteout of no name', [file('usr/.wh.')], /whiteout "\.wh\." names no file/],
  ['a whiteout of ..', [file('usr/.wh...')], /whiteout "\.wh\.\.\." names no file/],
  ['a directory like a whiteout', [file('.wh.x/y')], /\/\.wh\.x: in a container image, a name/],
  ['a long file name', [file('n'.repeat(256))], /a file name of more than 255 bytes/],
  ['a long path', [file('n/'.repeat(2100))], /of 4201 bytes, expected 1 to 4099/],
  ['symlinks in a circle', [symlink('a', 'b'), symlink('b', 'a'), file('a/x')], /symlinks in its/],
  ['a device', [{ name: 'dev/sda', type: 'block device' }], /\/dev\/sda is a device or a pipe/],
  [
    'a pipe',
    [{ name: 'pipe', type: 'fifo' }],
    /\/pipe is a device or a pipe; --skip-special-files/,
  ],
  ['a file that ends early', [file('x', { size: 2 ** 20 })], /tar archive ends within entry "x"/],
  [
    'a file larger than any disk',
    [file('x', { size: 2 ** 52 })],
    /entry "x": expands to more than the \d+ bytes free on disk; --spool or TMPDIR/,
  ],
];

const LOWER = [directory('usr'), file('usr/a')];

interface Layers {
  readonly layers: Descriptor[];
}
const blobPath = ({ directory: layout }: ForgedImage, digest: string) =>
  join(layout, 'blobs', digest.replace(':', '/'));

/** Changes the descriptor of the second layer. */
const lie = (change: (layer: Descriptor) => Partial<Descriptor>) => (image: ForgedImage) =>
  changeManifest<Layers>(image, ({ layers }) => {
    const layer = layers[1] ?? assert.fail();
    layers[1] = { ...layer, ...change(layer) };
  });

/** Replaces the blob of the second layer; its digest stays true if `isTrue`. */
function replaceBlob(image: ForgedImage, blob: (old: Buffer) => Buffer, isTrue: boolean): void {
  changeManifest<Layers>(image, ({ layers }) => {
    const layer = layers[1] ?? assert.fail();
    const bytes = blob(readFileSync(blobPath(image, layer.digest)));
    const digest = isTrue ? sha256Digest(bytes) : layer.digest;
    writeFileSync(blobPath(image, digest), bytes);
    layers[1] = { ...layer, digest, size: isTrue ? bytes.length : layer.size };
  });
}

/** What is wrong with a sound image of two layers, how it is changed, and the error. */
const LIES: readonly (readonly [string, (image: ForgedImage) => void, RegExp])[] = [
  ['too small a size', lie(({ size }) => ({ size: size - 1 })), /has more than the \d+ bytes/],
  [
    'too large a size',
    lie(({ size }) => ({ size: size + 1 })),
    /stated \d+, (computed|file has)|size/,
  ],
  [
    'a size larger than any disk',
    lie(() => ({ size: 2 ** 52 })),
    /bytes free, and the layers|size/,
  ],
  [
    'another digest',
    (image) =>
      replaceBlob(image, (old) => Buffer.concat([old.subarray(0, -1), Buffer.of(1)]), false),
    /digest: stated sha256:[0-9a-f]+, computed|CRC|incorrect/,
  ],
  [
    'a diff_id of another layer',
    (image) => replaceBlob(image, () => gzipSync(writeTar([file('usr/b')])), true),
    /diff_id: stated sha256:[0-9a-f]+, computed sha256/,
  ],
  [
    'half a gzip stream',
    (image) => replaceBlob(image, (old) => old.subarray(0, 60), true),
    /unexpected end/,
  ],
  [
    'bytes after the gzip stream',
    (image) => replaceBlob(image, (old) => Buffer.concat([old, Buffer.alloc(5)]), true),
    /its gzip stream ends at byte|diff_id/,
  ],
  [
    'half a tar',
    (image) => replaceBlob(image, () => gzipSync(writeTar(LOWER).subarray(0, 700)), true),
    /tar archive ends within/,
  ],
  [
    'a gzip bomb after the end of the tar',
    (image) =>
      replaceBlob(
        image,
        () => gzipSync(Buffer.concat([writeTar(LOWER), Buffer.alloc(64 << 20)])),
        true,
      ),
    /more than 1048576 bytes after the end of the tar archive/,
  ],
  [
    'a zstd bomb of extended headers',
    (image) => {
      replaceBlob(
        image,
        () => zstdOfZeros(bombHeader(), 1 << 30, Buffer.from(END_OF_ARCHIVE)),
        true,
      );
      lie(() => ({ mediaType: OCI_LAYER_ZSTD }))(image);
    },
    /lone block of zeros|bytes after the end|extended header|expands to more/,
  ],
  [
    'an unknown compression',
    lie(() => ({ mediaType: 'application/x-lz' })),
    /media type|application\/x-lz/,
  ],
];

const bombHeader = () => Buffer.from(writeTar([file('usr/x')]).subarray(0, 1024));

suite('build --from refuses', () => {
  let scratch: string;
  let out: string;
  let spool: string;

  before(() => {
    scratch = scratchDirectory();
    out = join(scratch, 'out');
    spool = join(scratch, 'spool');
    mkdirSync(spool);
    ostrata(['build', `--from=${forgePlain([LOWER]).imgref}`, `oci:${out}:x`]);
  });

  const build = (imgref: string, ...options: readonly string[]) =>
    tryOstrata(['build', `--from=${imgref}`, `--spool=${spool}`, ...options, `oci:${out}:x`]);
  const outNow = () => filesBelow(out).map((path) => `${path} ${statSync(path).mtimeMs}`);

  function assertRefused({ imgref }: ForgedImage, message: RegExp, ...options: string[]): void {
    const before = outNow();
    const { status, stderr, stdout } = build(imgref, ...options);
    const lines = stderr
      .trimEnd()
      .split('\n')
      .filter((line) => !line.startsWith('warning: '));
    assert.equal(status, 1, stderr);
    assert.equal(lines.length, 1, stderr);
    assert.match(lines[0] ?? '', /^error: /);
    assert.match(lines[0] ?? '', message);
    assert.equal(stdout, '');
    assert.deepEqual(outNow(), before);
    assert.deepEqual(readdirSync(spool), []);
  }

  for (const [title, entries, message] of ENTRIES) {
    test(title, () => assertRefused(forgePlain([LOWER, entries]), message));
  }
  for (const [title, change, message] of LIES) {
    test(title, () => {
      const image = forgePlain([LOWER, [file('usr/b', { content: Buffer.alloc(5000, 'b') })]]);
      change(image);
      assertRefused(image, message);
    });
  }

  test('a layer that is another one when its content is needed', () => {
    const content = Buffer.alloc(5000, 'b');
    const image = forgePlain([LOWER, [file('usr/b', { content })]]);
    const cache = `--cache=${scratch}/cache`;
    const first = ['build', `--from=${image.imgref}`, cache, `oci:${scratch}/first`];
    ostrata(first);
    replaceBlob(
      image,
      () => gzipSync(writeTar([file('usr/b', { content: content.fill('c') })])),
      true,
    );
    // The index is known, and the new compression needs the content.
    const options = [cache, '--compression-level=1'];
    assertRefused(image, /diff_id: stated sha256:[0-9a-f]+, computed sha256/, ...options);
  });

  test('too few diff_ids', () => {
    const tars = [LOWER, [file('x')]].map(writeTar);
    const rootfs = { type: 'layers', diff_ids: tars.slice(1).map(sha256Digest) };
    const config = canonicalJson({ architecture: 'amd64', os: 'linux', rootfs });
    assertRefused(writeLayout(config, tars), /2 layers and 1 diff_ids/);
  });
});

suite('build --from accepts', () => {
  async function pathsOf(entries: readonly ForgedEntry[], ...options: readonly string[]) {
    const out = `oci:${scratchDirectory()}/out:x`;
    const { imgref } = forgePlain([LOWER, entries]);
    ostrata(['build', `--from=${imgref}`, ...options, out]);
    const { files } = await openImageTree(await openImage(out));
    return Array.from(files, ({ path }) => path).filter((path) => !/^\/usr|^\/$/.test(path));
  }

  test('symlinks that lead out of the image, and stays in it', async () => {
    const outside = '../../../../../../../..';
    const entries = [
      symlink('a', '/'),
      symlink('b', outside),
      file('a/etc/ostrata-a'),
      file('b/etc/ostrata-b'),
      link('c', 'b/etc/ostrata-a'),
    ];
    assert.deepEqual(await pathsOf(entries), [
      '/a',
      '/b',
      '/c',
      '/etc',
      '/etc/ostrata-a',
      '/etc/ostrata-b',
    ]);
    assert.ok(!existsSync('/etc/ostrata-a') && !existsSync('/etc/ostrata-b'));
  });

  test('devices and pipes, which it leaves out if it is told to', async () => {
    const special = (name: string, type: ForgedEntry['type']): ForgedEntry => ({ name, type });
    const entries = [special('p', 'fifo'), special('d', 'character device'), link('l', 'p')];
    assert.deepEqual(await pathsOf([...entries, file('x')], '--skip-special-files'), ['/x']);
  });

  test('two thousand directories in each other', async () => {
    assert.equal((await pathsOf([file(`${'d/'.repeat(2000)}x`)])).length, 2001);
  });
});

/** Serves an image as a registry does, but no layer comes to its end. */
function startStalledRegistry(image: ForgedImage): Promise<Server> {
  const index = JSON.parse(readFileSync(join(image.directory, 'index.json'), 'utf8'));
  const [manifest]: [Descriptor] = index.manifests;
  const server = createServer(({ url = '' }, response) => {
    const digest = /\/blobs\/(.*)$/.exec(url)?.[1] ?? manifest.digest;
    if (url === '/v2/') {
      response.end('{}');
      return;
    }
    const bytes = readFileSync(blobPath(image, digest));
    const isLayer = !bytes.subarray(0, 1).equals(Buffer.from('{'));
    const { mediaType } = manifest;
    response.writeHead(200, { 'content-type': mediaType, 'content-length': bytes.length });
    if (isLayer) {
      response.write(bytes.subarray(0, bytes.length - 100));
    } else {
      response.end(bytes);
    }
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

suite('while a registry stalls in the middle of a layer, build --from', () => {
  const noise = (seed: number) =>
    Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * i * seed + (i >> 3) * 31) & 255));
  const image = forgePlain([[file('usr/a', { content: noise(7) })], LOWER]);
  let server: Server;
  before(async () => {
    server = await startStalledRegistry(image);
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  /** Starts a build, and returns when it has written into its spool. */
  async function start() {
    const scratch = scratchDirectory();
    const spool = join(scratch, 'spool');
    mkdirSync(spool);
    const { port } = server.address() as AddressInfo;
    const from = `--from=docker://127.0.0.1:${port}/os:x`;
    const args = ['build', from, `--spool=${spool}`, '--no-cache', `oci:${scratch}/out:x`];
    const child = spawn(process.execPath, [ostrataProgram, ...args], { stdio: 'ignore' });
    while (!filesBelow(spool).some((path) => path.endsWith('.tar') && statSync(path).size > 0)) {
      assert.equal(child.exitCode, null);
      await sleep(20);
    }
    return { child, scratch, spool };
  }

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`ends by ${signal} and leaves neither spool nor image`, async () => {
      const { child, scratch, spool } = await start();
      child.kill(signal);
      assert.deepEqual(await once(child, 'exit'), [code, null]);
      assert.deepEqual(readdirSync(spool), []);
      assert.deepEqual(readdirSync(scratch), ['spool']);
    });
  }

  test('leaves a spool when it is killed, which the next build removes', async () => {
    const { child, scratch, spool } = await start();
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(readdirSync(spool).length, 1);
    const { imgref } = forgePlain([LOWER]);
    ostrata(['build', `--from=${imgref}`, `--spool=${spool}`, `oci:${scratch}/next:x`]);
    assert.deepEqual(readdirSync(spool), []);
  });
});
