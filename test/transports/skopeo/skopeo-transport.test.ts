// The transports that run skopeo.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { OstrataError } from '../../../src/errors.js';
import { parseConfig } from '../../../src/oci/types.js';
import { validateImage } from '../../../src/oci/validate.js';
import { createImage, openImage } from '../../../src/transports/image-reference.js';
import { copyImage } from '../../support/copy-blobs.js';
import { noise, writeTestImage } from '../../support/random-images.js';
import { run } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

const make = (scratch: string) =>
  writeTestImage(join(scratch, 'image'), 'x', [
    noise('a', 300_000),
    noise('b', 1000),
    Buffer.alloc(10_240),
  ]);

/** Runs `body` with a temporary directory of its own, and checks that nothing is left there. */
async function withTmpdir(body: (scratch: string) => Promise<void>): Promise<void> {
  const before = process.env.TMPDIR;
  const scratch = scratchDirectory();
  const tmp = scratchDirectory();
  process.env.TMPDIR = tmp;
  try {
    await body(scratch);
    assert.deepEqual(readdirSync(tmp), []);
  } finally {
    if (before === undefined) {
      delete process.env.TMPDIR;
    } else {
      process.env.TMPDIR = before;
    }
  }
}

/** Runs `body` while a shell script stands for skopeo. */
async function withSkopeo(
  scratch: string,
  script: string,
  body: () => Promise<void>,
): Promise<void> {
  const { PATH } = process.env;
  const folder = join(scratch, 'bin');
  mkdirSync(folder);
  writeFileSync(join(folder, 'skopeo'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, 'skopeo'), 0o755);
  process.env.PATH = `${folder}:${PATH}`;
  try {
    await body();
  } finally {
    process.env.PATH = PATH;
  }
}

suite('transports that skopeo implements', needs('skopeo'), () => {
  for (const [name, target] of [
    ['dir', (scratch: string) => `dir:${join(scratch, 'dir')}`],
    [
      'docker-archive',
      (scratch: string) => `docker-archive:${join(scratch, 'image.tar')}:os/base:x`,
    ],
  ] as const) {
    test(`${name}: an image that was written is read back with the same layers`, () =>
      withTmpdir(async (scratch) => {
        const image = await make(scratch);
        await copyImage(await openImage(image.imgref), await createImage(target(scratch)));
        const read = await openImage(target(scratch));
        const config = await validateImage(read);
        const original = parseConfig(image.config);
        assert.deepEqual(config.rootfs.diff_ids, original.rootfs.diff_ids);
        if (name === 'dir') {
          assert.equal(read.manifestDigest, image.manifestDigest, 'dir: keeps digests');
        }
        assert.equal(read.name, target(scratch));
        await read.close?.();
      }));
  }

  test('layers that are stored uncompressed are read so if they are to be unpacked', () =>
    withTmpdir(async (scratch) => {
      const image = await make(scratch);
      const target = `docker-archive:${join(scratch, 'image.tar')}:os/base:x`;
      await copyImage(await openImage(image.imgref), await createImage(target));
      const read = await openImage(target, { keepsUncompressed: true });
      const config = await validateImage(read);
      for (const [i, layer] of read.manifest.layers.entries()) {
        assert.equal(layer.digest, config.rootfs.diff_ids[i]);
        assert.ok(existsSync(read.blobFile(layer) ?? ''), 'is read where it is');
      }
      await read.close?.();
    }));

  test(
    'containers-storage: podman lists an image that was written, and it is read back',
    needs('podman', 'root', 'tar'),
    () =>
      withTmpdir(async (scratch) => {
        writeFileSync(join(scratch, 'hello'), 'hello\n');
        run('tar', ['-C', scratch, '-cf', join(scratch, 'layer.tar'), 'hello']);
        const layer = run('cat', [join(scratch, 'layer.tar')]);
        const image = await writeTestImage(join(scratch, 'image'), 'x', [
          Buffer.from(layer, 'latin1'),
        ]);
        const [root, runroot] = [join(scratch, 'storage'), join(scratch, 'run')];
        const target = `containers-storage:[vfs@${root}+${runroot}]localhost/os/base:x`;
        await copyImage(await openImage(image.imgref), await createImage(target));
        const storage = ['--root', root, '--runroot', runroot, '--storage-driver=vfs'];
        const listed = run('podman', [
          ...storage,
          'images',
          '--digests',
          '--format',
          '{{.Digest}} {{.Repository}}',
        ]);
        assert.equal(listed.trim(), `${image.manifestDigest} localhost/os/base`);
        const missing = openImage(target.replace('base:x', 'none'));
        await assert.rejects(missing, { code: 'NOT_FOUND' });
        const read = await openImage(target);
        await validateImage(read);
        assert.deepEqual(await read.config(), image.config);
        await read.close?.();
        const unpacked = await openImage(target, { keepsUncompressed: true });
        const { rootfs } = await validateImage(unpacked);
        assert.deepEqual(
          unpacked.manifest.layers.map(({ digest }) => digest),
          rootfs.diff_ids,
        );
        await unpacked.close?.();
      }),
  );

  test('docker-daemon: skopeo is told to copy the layers as they are stored', () =>
    withTmpdir(async (scratch) => {
      const image = await make(scratch);
      const archive = `docker-archive:${join(scratch, 'image.tar')}`;
      const copying = await createImage(`${archive}:os/base:x`);
      await copyImage(await openImage(image.imgref), copying);
      // A daemon sends skopeo what `docker save` writes, so an archive stands for it.
      const log = join(scratch, 'log');
      const real = run('sh', ['-c', 'command -v skopeo']).trim();
      const substitute = `s#docker-daemon:os/base:x#${archive}#`;
      const script = `echo "$*" >> ${log}\nexec ${real} $(echo "$*" | sed '${substitute}')`;
      await withSkopeo(scratch, script, async () => {
        const read = await openImage('docker-daemon:os/base:x', { keepsUncompressed: true });
        const { rootfs } = await validateImage(read);
        const digests = read.manifest.layers.map(({ digest }) => digest);
        assert.deepEqual(digests, rootfs.diff_ids);
        assert.equal(read.name, 'docker-daemon:os/base:x');
        await read.close?.();
      });
      assert.match(run('cat', [log]), /copy .*docker-daemon:os\/base:x dir:\S+$/m);
    }));

  test('a failure shows the message of skopeo and leaves no files behind', () =>
    withTmpdir(async (scratch) => {
      const image = await make(scratch);
      await assert.rejects(openImage(`dir:${join(scratch, 'none')}`), (error: OstrataError) => {
        assert.equal(error.code, 'NOT_FOUND');
        assert.match(error.message, /^reading dir:.*skopeo: .*no such file/s);
        assert.doesNotMatch(error.message, /level=/);
        return true;
      });
      const writer = await createImage(`docker-archive:${join(scratch, 'new.tar')}:Not A Name`);
      await assert.rejects(
        copyImage(await openImage(image.imgref), writer),
        /writing docker-archive:.*skopeo: /,
      );
      assert.ok(!existsSync(join(scratch, 'new.tar')));
      writeFileSync(join(scratch, 'there.tar'), '');
      await assert.rejects(
        createImage(`docker-archive:${join(scratch, 'there.tar')}`),
        /already exists/,
      );
      await assert.rejects(createImage('dir:'), { code: 'USAGE' });
    }));
});

test('skopeo sees no credentials, and the error for a missing skopeo names it', async () => {
  await withTmpdir(async (scratch) => {
    const [path, proxy] = [process.env.PATH, process.env.HTTPS_PROXY];
    const log = join(scratch, 'log');
    try {
      process.env.HTTPS_PROXY = 'http://user:very-secret@proxy';
      const options = { credentials: { username: 'alice', password: 'very-secret' } };
      const script = `echo "$*" >> ${log}\nenv >> ${log}\nexit 1`;
      await withSkopeo(scratch, script, async () => {
        await assert.rejects(openImage(`dir:${scratch}`, options), { code: 'IO' });
      });
      assert.ok(existsSync(log));
      const seen = run('cat', [log]);
      assert.match(seen, /copy/);
      assert.doesNotMatch(seen, /very-secret/);
      process.env.PATH = join(scratch, 'empty');
      await assert.rejects(createImage(`dir:${join(scratch, 'x')}`), {
        code: 'UNSUPPORTED',
        message: /not installed/,
      });
    } finally {
      process.env.PATH = path;
      if (proxy === undefined) {
        delete process.env.HTTPS_PROXY;
      } else {
        process.env.HTTPS_PROXY = proxy;
      }
    }
  });
});
