/** `build --from`: an image is built again from the layers of another image. */
import assert from 'node:assert/strict';
import { linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { openImage } from '../../src/transports/image-reference.js';
import { addIndex, readIndex } from '../support/index-layout.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { type World, world, worldNeeds } from '../support/world.js';

interface Report {
  readonly layers: readonly {
    readonly digest: string;
    readonly diffId: string;
    readonly reused: boolean;
  }[];
}

function build(args: readonly string[]): readonly string[] {
  const { layers }: Report = JSON.parse(ostrata(['build', '--json', ...args]));
  return layers.map(({ diffId }) => diffId);
}

function makeTree(): string {
  const root = join(scratchDirectory(), 'root');
  mkdirSync(join(root, 'usr/share/empty'), { recursive: true });
  mkdirSync(join(root, 'opt'), { mode: 0o700 });
  writeFileSync(join(root, 'usr/tool'), 'tool', { mode: 0o4755 });
  linkSync(join(root, 'usr/tool'), join(root, 'opt/tool'));
  writeFileSync(join(root, 'usr/none'), '');
  symlinkSync('tool', join(root, 'usr/symlink'));
  return root;
}

suite('an image of an image', needs(...worldNeeds, 'root'), () => {
  let given: World;
  before(async () => {
    given = await world();
  });

  for (const compression of ['none', 'gzip', 'zstd']) {
    test(`has the layers of one that is made from the tree (${compression})`, () => {
      const scratch = scratchDirectory();
      const options = ['--mtime=keep', `--cache=${scratch}/cache`];
      const raw = `oci:${scratch}/raw:x`;
      const ofTree = build([
        '--rootfs',
        given.oldTree,
        '--mtime=keep',
        raw,
        '--compression',
        compression,
      ]);
      for (const attempt of ['first', 'second, with the indexes of the first']) {
        const ofImage = build(['--from', raw, ...options, `oci:${scratch}/out:${attempt.length}`]);
        assert.deepEqual(ofImage, ofTree, attempt);
      }
    });
  }
});

test('an image of an image has the config of that image, and its files', async () => {
  const scratch = scratchDirectory();
  const root = makeTree();
  const config = JSON.stringify({ config: { Cmd: ['/usr/tool'], Labels: { a: '1' } }, rootfs: {} });
  const raw = `oci-archive:${scratch}/raw.tar`;
  build(['--rootfs', root, '--config-str', config, '--annotation=note=yes', '--mtime=keep', raw]);
  const spool = join(scratch, 'spool');
  mkdirSync(spool);
  const from = ['--from', raw, '--spool', spool, '--label=b=2', '--mtime=keep'];
  const image = `oci:${scratch}/image`;
  assert.deepEqual(
    build([...from, image]),
    build(['--rootfs', root, '--mtime=keep', `oci:${scratch}/other`]),
  );
  assert.deepEqual(readdirSync(spool), [], 'the spool is removed');

  const read = await openImage(image);
  const { config: written } = JSON.parse(Buffer.from(await read.config()).toString());
  assert.deepEqual(written.Cmd, ['/usr/tool']);
  assert.deepEqual([written.Labels.a, written.Labels.b], ['1', '2']);
  assert.equal(read.manifest.annotations?.note, 'yes');
});

/** What `umoci stat` prints. */
interface Stat {
  readonly history: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
}

test('an image of an image tells how its content came about', needs('umoci'), async () => {
  const scratch = scratchDirectory();
  const config = {
    author: 'me',
    os: 'freebsd',
    'os.version': '14',
    'os.features': ['a'],
    config: {},
    history: [
      { created: '2024-01-02T03:04:05Z', created_by: 'RUN make' },
      { created_by: 'ENV a=b', empty_layer: true },
    ],
  };
  const layout = join(scratch, 'layout');
  const raw = `oci:${layout}:raw`;
  const again = `oci:${layout}:again`;
  build(['--rootfs', makeTree(), '--config-str', JSON.stringify(config), raw]);
  build(['--from', raw, '--previous-build', raw, again]);

  const stat: Stat = JSON.parse(run('umoci', ['stat', '--json', '--image', `${layout}:again`]));
  const steps = stat.history.map((each) => [each.created_by, each.empty_layer]);
  const ownCount = steps.length - 2;
  assert.deepEqual(steps, [
    ['RUN make', true],
    ['ENV a=b', true],
    ...Array.from({ length: ownCount }, () => ['ostrata', undefined]),
  ]);
  const image = await openImage(again);
  assert.equal(image.manifest.layers.length, ownCount);
  const written = JSON.parse(Buffer.from(await image.config()).toString());
  const { author, os, 'os.version': version, 'os.features': features } = written;
  assert.deepEqual([author, os, version, features], ['me', 'freebsd', '14', ['a']]);

  const { layers }: Report = JSON.parse(
    ostrata(['build', '--json', '--from', again, '--previous-build', again, `${raw}2`]),
  );
  assert.ok(layers.every(({ reused }) => reused));
});

/** Writes two images, and an index of both that has the tag `all`. */
function makeIndex(layout: string): void {
  for (const arch of ['amd64', 'arm64']) {
    const root = makeTree();
    writeFileSync(join(root, 'usr/arch'), arch);
    build(['--rootfs', root, '--arch', arch, `oci:${layout}:${arch}`]);
  }
  addIndex(layout, 'all', readIndex(layout).manifests);
}

test('--platform picks the image of an index that is built again', async () => {
  const scratch = scratchDirectory();
  const layout = join(scratch, 'layout');
  makeIndex(layout);
  for (const arch of ['amd64', 'arm64']) {
    const image = `oci:${scratch}/${arch}`;
    const layers = build(['--from', `oci:${layout}:all`, `--platform=linux/${arch}`, image]);
    assert.deepEqual(layers, build(['--from', `oci:${layout}:${arch}`, `${image}-alone`]));
    const config = await (await openImage(image)).config();
    assert.equal(JSON.parse(Buffer.from(config).toString()).architecture, arch);
  }
  const { status, stderr } = tryOstrata([
    'build',
    `--from=oci:${layout}:all`,
    '--platform=linux/s390x',
    `oci:${scratch}/out`,
  ]);
  assert.match(stderr, /no image for linux\/s390x; there are: linux\/amd64, linux\/arm64/);
  assert.equal(status, 1);
});

test(
  'layers are not compressed for a destination that stores them uncompressed',
  needs('skopeo'),
  () => {
    const scratch = scratchDirectory();
    const archive = `docker-archive:${scratch}/archive.tar:os:x`;
    const isCompressed = (args: readonly string[]) => {
      const { layers }: Report = JSON.parse(ostrata(['build', '--json', ...args]));
      return layers.map(({ digest, diffId }) => digest !== diffId);
    };
    const root = ['--rootfs', makeTree()];
    assert.deepEqual(new Set(isCompressed([...root, archive])), new Set([false]));
    const layout = `oci:${scratch}/layout`;
    const ofArchive = isCompressed(['--from', archive, '--previous-build', archive, layout]);
    assert.deepEqual(new Set(ofArchive), new Set([true]), 'compressed for clients');
    const asked = isCompressed([
      ...root,
      '--compression=gzip',
      `${archive.replace('archive.tar', 'b')}`,
    ]);
    assert.deepEqual(new Set(asked), new Set([true]));
  },
);

test('without room or rights for the spool nothing is fetched', () => {
  const scratch = scratchDirectory();
  build(['--rootfs', makeTree(), `oci:${scratch}/raw`]);
  const { status, stderr } = tryOstrata([
    'build',
    `--from=oci:${scratch}/raw`,
    `--spool=${scratch}/missing`,
    `oci:${scratch}/out`,
  ]);
  assert.equal(status, 1);
  assert.match(stderr, /making the spool in .*missing.*no such file/);
});
