/** Every option of container-encapsulate does what its help says. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import {
  type Build,
  blobPath,
  encapsulate,
  type Image,
  namesOf,
  readImage,
} from '../support/read-image.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { KERNEL, type World, world, worldNeeds } from '../support/world.js';

/** Lists the entries of a layer with GNU tar: kind (`-`, `d`, `l`, `h`), size and name. */
function listLayer(image: Image, index: number): { kind: string; size: number; name: string }[] {
  const layer = image.manifest.layers[index];
  assert.ok(layer);
  const lines = run('tar', [
    '-t',
    '-v',
    '--numeric-owner',
    '-f',
    blobPath(image.directory, layer.digest),
  ]).split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [, kind, size, name] =
        /^(.)\S+ +\S+ +(\d+) \S+ \S+ (.*?)(?: (?:->|link to) .*)?$/.exec(line) ?? [];
      assert.ok(kind && size && name, line);
      return { kind, size: Number(size), name };
    });
}

suite('options of container-encapsulate', needs(...worldNeeds, 'tar'), () => {
  let given: World;
  let scratch: string;
  let plain: Build;
  let count = 0;

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    plain = build();
  });

  const build = (...args: string[]) =>
    encapsulate(given.repo, 'os/old', join(scratch, `image-${count++}`), args);
  const labelsOf = ({ image }: Build) => image.config.config.Labels;

  test('labels of the commit, repeated as annotations of the manifest', () => {
    const expected = {
      'ostree.commit': given.oldCommit,
      'ostree.bootable': 'true',
      'containers.bootc': '1',
      'ostree.linux': KERNEL,
      'org.opencontainers.image.version': '39.1',
      'rpmostree.inputhash': 'hash-of-old',
      'ostree.final-diffid': plain.image.config.rootfs.diff_ids.at(-1),
    };
    for (const [key, value] of Object.entries(expected)) {
      assert.equal(labelsOf(plain)[key], value, `label ${key}`);
      assert.equal(plain.image.manifest.annotations?.[key], value, `annotation ${key}`);
    }
    assert.equal(labelsOf(plain).version, undefined);
  });

  test('annotations and history of the layers', () => {
    const { manifest, config } = plain.image;
    assert.equal(config.history[0]?.created_by, 'Build os/old');
    assert.equal(manifest.layers[0]?.annotations?.['ostree.components'], undefined);
    for (const [index, { components }] of plain.result.layers.entries()) {
      if (index === 0) {
        continue;
      }
      const annotation = manifest.layers[index]?.annotations?.['ostree.components'];
      assert.ok(annotation !== undefined, `layer ${index}`);
      const names = annotation.split(',');
      assert.deepEqual(names, [...names].sort());
      assert.equal(names.length, new Set(namesOf(components)).size);
      if (components.length >= 6) {
        assert.equal(config.history[index]?.created_by, `${components.length} components`);
      }
    }
    for (const { created } of config.history) {
      assert.equal(created, config.history[0]?.created);
    }
    assert.match(config.history[0]?.created ?? '', /^2023-11-16T02:00:00(\.0+)?(Z|\+00:00)$/);
  });

  test('every component is in one layer, and no layer overwrites another', () => {
    const components = plain.result.layers.flatMap((layer) => layer.components);
    assert.equal(new Set(components).size, components.length);
    const names = namesOf(components);
    assert.equal(
      names.filter((name) => name === 'libpair').length,
      2,
      'one name, two architectures',
    );
    assert.equal(
      names.filter((name) => name === 'kernel-core').length,
      1,
      'two kernels are one component',
    );
    for (const name of [
      'shell',
      'odd-modes',
      'through-links',
      'twin-a',
      'initramfs',
      'rpmdb',
      'app',
      'other-app',
    ]) {
      assert.ok(
        names.includes(name) || components.includes(`component:${name}`),
        `${name} in ${components}`,
      );
    }
    assert.ok(components.includes('file:/usr/share/big.bin'), `${components}`);
    // A file that no package owns must not be in the layer of a package that changes.
    const big = plain.result.layers.find((layer) =>
      layer.components.includes('file:/usr/share/big.bin'),
    );
    assert.ok((big?.contentSize ?? 0) >= 1.5 * 2 ** 20);
  });

  test('contentSize is the content of the objects in the layer', () => {
    for (const [index, { contentSize }] of plain.result.layers.entries()) {
      const objects = listLayer(plain.image, index).filter(
        ({ kind, name }) => kind === '-' && name.endsWith('.file'),
      );
      assert.equal(
        contentSize,
        objects.reduce((sum, { size }) => sum + size, 0),
        `layer ${index}`,
      );
    }
  });

  test('--json prints the documented keys and nothing else', () => {
    assert.deepEqual(Object.keys(plain.result).sort(), [
      'commit',
      'configDigest',
      'contentSize',
      'layers',
      'manifestDigest',
      'reference',
      'size',
      'warnings',
    ]);
    for (const layer of plain.result.layers) {
      assert.deepEqual(Object.keys(layer).sort(), [
        'base',
        'components',
        'contentSize',
        'diffId',
        'digest',
        'origin',
        'reused',
        'size',
      ]);
    }
    assert.ok(plain.result.layers.every(({ reused }) => !reused));
  });

  for (const maxLayers of [2, 3, 4, 6, 12, 24, 500]) {
    test(`--max-layers=${maxLayers} gives no more layers and loses nothing`, () => {
      const { result, image } = build(`--max-layers=${maxLayers}`);
      assert.ok(
        image.manifest.layers.length <= maxLayers,
        `${image.manifest.layers.length} layers`,
      );
      assert.ok(
        image.manifest.layers.length >= Math.min(maxLayers, 10),
        `${image.manifest.layers.length} layers`,
      );
      const all = ({ layers }: Build['result']) =>
        layers.flatMap(({ components }) => components).sort();
      assert.deepEqual(all(result), all(plain.result));
      const objects = (each: Image) =>
        each.manifest.layers
          .flatMap((_, index) => listLayer(each, index))
          .filter(({ name }) => /\.(file|commit|commitmeta|dirtree|dirmeta)$/.test(name))
          .map(({ name }) => name)
          .sort();
      assert.deepEqual(objects(image), objects(plain.image));
    });
  }

  test('user.component asks for a separate layer; if there are too many, they share one', () => {
    const layerOf = ({ result }: Build, name: string) =>
      result.layers.find((layer) =>
        namesOf(layer.components).some((id) => id.replace('component:', '') === name),
      )?.components;
    assert.equal(layerOf(plain, 'app')?.length, 1);
    assert.equal(layerOf(plain, 'other-app')?.length, 1);
    const target = `oci:${join(scratch, 'exclusive')}:x`;
    const result = tryOstrata([
      'container-encapsulate',
      `--repo=${given.repo}`,
      '--max-layers=3',
      'os/old',
      target,
    ]);
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stderr, /warning.*layer/i);
  });

  test('--format-version=2 writes parent directories into each layer, 1 does not', () => {
    const directories = ({ image }: Build) =>
      image.manifest.layers.flatMap((_, index) =>
        index === 0
          ? []
          : listLayer(image, index).filter(
              ({ kind, name }) => kind === 'd' && !name.startsWith('sysroot'),
            ),
      );
    assert.ok(directories(plain).length > 0, 'format 2 is the default');
    assert.deepEqual(directories(build('--format-version=1')), []);
    assert.equal(build('--format-version=2').image.manifestDigest, plain.image.manifestDigest);
  });

  test('--label and -l add labels', () => {
    const built = build('--label=quay.expires-after=2w', '-l', 'formula=a=b', '--label', 'empty=');
    for (const [key, value] of Object.entries({
      'quay.expires-after': '2w',
      formula: 'a=b',
      empty: '',
    })) {
      assert.equal(labelsOf(built)[key], value);
      assert.equal(built.image.manifest.annotations?.[key], value);
    }
  });

  test('--image-config is the start of the configuration, --cmd overrides it', () => {
    const file = join(scratch, 'image-config.json');
    const config = {
      Env: ['A=1'],
      Cmd: ['/sbin/init'],
      Labels: { 'from-config': 'yes' },
      StopSignal: 'SIGRTMIN+3',
    };
    writeFileSync(file, JSON.stringify(config));
    const built = build(`--image-config=${file}`);
    const { Labels, ...rest } = built.image.config.config;
    assert.equal(Labels['from-config'], 'yes');
    assert.equal(Labels['ostree.commit'], given.oldCommit);
    assert.equal(built.image.manifest.annotations?.['from-config'], undefined);
    assert.deepEqual(rest, { Env: ['A=1'], Cmd: ['/sbin/init'], StopSignal: 'SIGRTMIN+3' });
    const overridden = build(`--image-config=${file}`, '--cmd=/usr/bin/sh').image.config.config;
    assert.deepEqual(overridden.Cmd, ['/usr/bin/sh']);
    assert.deepEqual(overridden.Env, ['A=1']);
  });

  test('--arch takes the names of RPM and those of Go', () => {
    assert.equal(build('--arch=aarch64').image.config.architecture, 'arm64');
    assert.equal(build('--arch=arm64').image.config.architecture, 'arm64');
    assert.equal(build('--arch=x86_64').image.config.architecture, 'amd64');
    assert.equal(plain.image.config.os, 'linux');
  });

  test('--copymeta and --copymeta-opt copy metadata of the commit to labels', () => {
    const built = build(
      '--copymeta=version',
      '--copymeta-opt=ostree.linux',
      '--copymeta-opt=nosuch',
    );
    assert.equal(labelsOf(built).version, '39.1');
    assert.equal(labelsOf(built).nosuch, undefined);
    const target = join(scratch, 'copymeta');
    const args = [
      'container-encapsulate',
      `--repo=${given.repo}`,
      '--copymeta=nosuch',
      'os/old',
      `oci:${target}:x`,
    ];
    const failed = tryOstrata(args);
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /nosuch/);
    assert.ok(!existsSync(target));
  });

  test('--compression=none gives the same layers, uncompressed', () => {
    const { image } = build('--compression=none');
    assert.deepEqual(image.config.rootfs.diff_ids, plain.image.config.rootfs.diff_ids);
    for (const { mediaType } of image.manifest.layers) {
      assert.equal(mediaType, 'application/vnd.oci.image.layer.v1.tar');
    }
    for (const { mediaType } of plain.image.manifest.layers) {
      assert.equal(mediaType, 'application/vnd.oci.image.layer.v1.tar+gzip');
    }
  });

  test('--write-contentmeta-json describes each component', () => {
    const file = join(scratch, 'contentmeta.json');
    const { image } = build(`--write-contentmeta-json=${file}`);
    assert.equal(image.manifestDigest, plain.image.manifestDigest);
    const content = JSON.parse(readFileSync(file, 'utf8')) as {
      name: string;
      size: number;
      identifier: string;
    }[];
    const shell = content.find(({ name }) => name === 'shell');
    assert.ok(shell, JSON.stringify(content).slice(0, 500));
    assert.ok(shell.size > 100_000);
  });

  test('--dry-run prints the table and writes nothing', () => {
    const target = join(scratch, 'dry');
    const table = ostrata([
      'container-encapsulate',
      `--repo=${given.repo}`,
      '--dry-run',
      'os/old',
      `oci:${target}:x`,
    ]);
    assert.match(table, /shell/);
    assert.match(table, /rpmdb/);
    assert.ok(!existsSync(target));
  });

  test('oci-archive holds the same image in one file, with the same bytes each time', () => {
    const make = (name: string) => {
      const file = join(scratch, name);
      const out = ostrata([
        'container-encapsulate',
        `--repo=${given.repo}`,
        '--json',
        'os/old',
        `oci-archive:${file}:v1`,
      ]);
      assert.equal(
        (JSON.parse(out) as { manifestDigest: string }).manifestDigest,
        plain.image.manifestDigest,
      );
      return createHash('sha256').update(readFileSync(file)).digest('hex');
    };
    assert.equal(make('a.tar'), make('b.tar'));
    ostrata(['verify', `oci-archive:${join(scratch, 'a.tar')}:v1`]);
    ostrata(['inspect', `oci-archive:${join(scratch, 'a.tar')}`]);
    const directory = join(scratch, 'from-archive');
    mkdirSync(directory);
    run('tar', ['-x', '-C', directory, '-f', join(scratch, 'a.tar')]);
    assert.equal(readImage(directory, 'v1').manifestDigest, plain.image.manifestDigest);
    const after = encapsulate(given.repo, 'os/new', join(scratch, 'after-archive'), [
      `--previous-build=oci-archive:${join(scratch, 'a.tar')}:v1`,
    ]);
    assert.ok(after.result.layers.some(({ reused }) => reused));
  });

  test('--plugin adds a content source', () => {
    const file = join(scratch, 'plugin.mjs');
    writeFileSync(
      file,
      `export default {
         name: 'mine', apiVersion: '^1.0',
         contentSources: [{
           name: 'mine', priority: 1, detect: () => true,
           async load() {
             return {
               components: new Map([['mine:b', { name: 'mine-b', source: 'mine', packages: [] }]]),
               strong: (entry) => (entry.path.startsWith('/usr/share/unowned/b/') ? ['mine:b'] : []),
             };
           },
         }],
       };`,
    );
    const { result } = build(`--plugin=${file}`);
    assert.ok(result.layers.some(({ components }) => components.includes('mine:b')));
  });

  test('--layout chooses a strategy by its name', () => {
    assert.equal(
      build('--layout=expected-download').image.manifestDigest,
      plain.image.manifestDigest,
    );
    const { layers } = build('--layout=single').result;
    // The commit layer, the two exclusive components, and one for all others.
    assert.equal(layers.length, 4);
    const all = (list: Build['result']['layers']) =>
      list.flatMap(({ components }) => components).sort();
    assert.deepEqual(all(layers), all(plain.result.layers));
  });

  test('--quiet prints only the result; messages never go to stdout', () => {
    const target = (name: string) => [
      'container-encapsulate',
      `--repo=${given.repo}`,
      'os/old',
      `oci:${join(scratch, name)}:x`,
    ];
    assert.equal(tryOstrata([...target('quiet'), '--quiet']).stderr, '');
    const verbose = tryOstrata([...target('verbose'), '--verbose', '--json']);
    assert.equal(verbose.status, 0);
    assert.notEqual(verbose.stderr, '');
    assert.doesNotThrow(() => JSON.parse(verbose.stdout));
  });

  test('inspect shows each layer with its size and components', () => {
    const shown = ostrata(['inspect', plain.image.reference]);
    assert.ok(shown.includes(given.oldCommit), shown);
    for (const { digest } of plain.image.manifest.layers) {
      assert.ok(shown.includes(digest.slice('sha256:'.length, 'sha256:'.length + 12)), digest);
    }
    for (const name of ['shell', 'kernel-core', 'rpmdb', 'big.bin']) {
      assert.ok(shown.includes(name), name);
    }
  });
});
