/** Derived layers with deep trees, long names and sparse files are pulled. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { pullImage } from '../../src/client/pull.js';
import { silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import { openRepo } from '../../src/ostree/repo.js';
import { openImage } from '../../src/transports/image-reference.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { openImageTree } from '../../src/tree/image.js';
import { imageLayers } from '../../src/tree/layer-source.js';
import { openSpooledImage } from '../../src/tree/spooled-image.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { type ForgedEntry, forge } from '../support/forge-image.js';
import { importOptions, newRepo } from '../support/import-image.js';
import { run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { SPARSE_FORM_NAMES, SPARSE_FORMS, writeWithHoles } from '../support/sparse-tar.js';
import { needs } from '../support/tools.js';

const TOOLS = needs('tar');

let image: ImageReader;
before(async () => {
  image = (await buildImage(dir({ usr: dir({ a: 'first' }) }))).image;
});

/** Pulls the image with a derived layer on top, and returns the tree of the merge commit. */
async function pullDerived(entries: readonly ForgedEntry[]) {
  const repo = newRepo();
  const { imgref } = await forge(image, () => {}, {}, [entries]);
  const { mergeCommit } = await pullImage(importOptions(repo, imgref));
  return openCommitTree(openRepo(repo), mergeCommit);
}

/** A file below `depth` directories: `usr`, and others whose names have one letter. */
function nestedFile(depth: number): ForgedEntry {
  const name = `usr/${'d/'.repeat(depth - 1)}file`;
  return { name, type: 'file', content: Buffer.from('deep') };
}

test('a derived layer with a file below 2,045 directories is pulled', async () => {
  const file = nestedFile(2045);
  const link: ForgedEntry = { name: nestedFile(1300).name, type: 'link', linkname: file.name };
  const tree = await pullDerived([file, link]);
  for (const { name } of [file, link]) {
    assert.equal(Buffer.from(await tree.bytes(`/${name}`)).toString(), 'deep');
  }
});

test('a directory with the name of a whiteout removes files, as in podman', async () => {
  for (const name of ['usr/.wh.a', 'usr/.wh..wh..opq']) {
    const tree = await pullDerived([{ name, type: 'directory', mode: 0o755 }]);
    const paths = Array.from(tree.files, ({ path }) => path);
    assert.deepEqual(paths, ['/', '/usr'], name);
  }
  const below: ForgedEntry = { name: 'usr/.wh.a/b', type: 'file' };
  const entries: ForgedEntry[] = [{ name: 'usr/.wh.a', type: 'directory', mode: 0o755 }, below];
  await assert.rejects(pullDerived(entries), /was not a directory earlier in the layer/);
});

suite('a derived layer is refused', () => {
  const tooLong = nestedFile(2046);
  const limit = { code: 'LIMIT', message: /: a path of 4098 bytes, at most 4096$/ };

  test('if the path of an entry is longer than any in Linux', async () => {
    await assert.rejects(pullDerived([tooLong]), limit);
  });

  test('if a file name is longer than any in Linux', async () => {
    const name = `usr/${'ä'.repeat(127)}`;
    await pullDerived([{ name: `${name}a`, type: 'file' }]);
    await assert.rejects(pullDerived([{ name: `${name}ab`, type: 'file' }]), {
      code: 'LIMIT',
      message: /: a file name of more than 255 bytes$/,
    });
  });

  test('if the target of a hard link is longer than any path in Linux', async () => {
    const link: ForgedEntry = { name: 'usr/link', type: 'link', linkname: tooLong.name };
    await assert.rejects(pullDerived([link]), limit);
  });

  test('if a hard link names a whiteout, which is no file of the image', async () => {
    const opaque: ForgedEntry = { name: 'usr/.wh..wh..opq', type: 'file' };
    const link: ForgedEntry = { name: 'usr/link', type: 'link', linkname: opaque.name };
    const refused = {
      code: 'CORRUPT',
      message: /: is a link to usr\/\.wh\.\.wh\.\.opq, which is a whiteout/,
    };
    for (const entries of [
      [opaque, link],
      [link, opaque],
    ]) {
      await assert.rejects(pullDerived(entries), refused);
    }
  });

  test('if the target of a symlink is longer than any in Linux', async () => {
    const link: ForgedEntry = { name: 'usr/link', type: 'symlink', linkname: 'x'.repeat(4096) };
    await assert.rejects(pullDerived([link]), {
      code: 'LIMIT',
      message: /: a symlink target of 4096 bytes, at most 4095$/,
    });
  });
});

for (const form of SPARSE_FORM_NAMES) {
  test(`a sparse file that GNU tar wrote in the form ${form} is pulled whole`, TOOLS, async () => {
    const scratch = scratchDirectory();
    const content = Buffer.alloc(600_000);
    for (let at = 0; at < content.length; at += 20_000) {
      content.write('data', at + 10_000);
    }
    mkdirSync(join(scratch, 'usr'));
    writeWithHoles(join(scratch, 'usr/sparse'), content);
    const path = join(scratch, 'a.tar');
    const create = ['--create', '--sparse', ...SPARSE_FORMS[form]];
    run('tar', [...create, `--file=${path}`, '-C', scratch, 'usr/sparse']);

    const tar = readFileSync(path);
    assert.ok(tar.length < content.length, 'GNU tar left out the holes');
    const { imgref } = await forge(image, () => {}, {}, [tar]);
    const repo = newRepo();
    const { mergeCommit } = await pullImage(importOptions(repo, imgref));
    const merged = openCommitTree(openRepo(repo), mergeCommit);
    assert.ok(content.equals(await merged.bytes('/usr/sparse')), 'pulled');
    const ofImage = await openImageTree(await openImage(imgref));
    assert.ok(content.equals(await ofImage.bytes('/usr/sparse')), 'read from the image');
    const spooled = await openSpooledImage(await imageLayers(await openImage(imgref)), {
      jobs: 1,
      spool: scratch,
      log: silentLogger,
      signal: new AbortController().signal,
    });
    assert.ok(content.equals(await spooled.bytes('/usr/sparse')), 'read from the spool by extents');
    spooled.close?.();
  });
}
