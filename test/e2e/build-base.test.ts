/** `build --base`: the layers of a base image are kept, and what lies above them is built again. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import fc from 'fast-check';
import { silentLogger } from '../../src/log.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import { openDirectoryTree } from '../../src/tree/directory-tree.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { copyImage } from '../support/copy-blobs.js';
import { describeTree } from '../support/describe-tree.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { changeManifest, forge, forgePlain } from '../support/forge-image.js';
import { randomLayers, sound } from '../support/random-layers.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

interface Report {
  readonly layers: readonly {
    readonly digest: string;
    readonly diffId: string;
    readonly size: number;
    readonly components: readonly string[];
    readonly reused: boolean;
    readonly base: boolean;
  }[];
}

function build(...args: readonly string[]): Report {
  return JSON.parse(ostrata(['build', '--json', ...args]));
}

async function configOf(imgref: string) {
  return JSON.parse(Buffer.from(await (await openImage(imgref)).config()).toString());
}

const context = { log: silentLogger, signal: new AbortController().signal };

/** Returns what umoci unpacks, with times. */
async function unpacked(imgref: string) {
  const bundle = join(scratchDirectory(), 'bundle');
  run('umoci', ['unpack', '--image', imgref.slice('oci:'.length), bundle]);
  const tree = await openDirectoryTree(join(bundle, 'rootfs'), { ...context, jobs: 1 });
  return describeTree(tree, true);
}

/** Makes the image `to` by a layer on `from` with what `change` does to the root. */
function addLayer(from: string, to: string, change: (root: string) => void): void {
  const bundle = join(scratchDirectory(), 'bundle');
  run('umoci', ['unpack', '--image', from.slice('oci:'.length), bundle]);
  change(join(bundle, 'rootfs'));
  run('umoci', ['repack', '--image', to.slice('oci:'.length), bundle]);
}

function makeBase(root: string): void {
  for (const path of ['usr/bin', 'usr/lib/a/b', 'usr/share/empty', 'etc/old', 'opt/gone/deep']) {
    mkdirSync(join(root, path), { recursive: true });
  }
  for (const path of ['usr/bin/x', 'usr/bin/only', 'usr/lib/a/b/c', 'etc/old/conf', 'etc/file']) {
    writeFileSync(join(root, path), path);
  }
  writeFileSync(join(root, 'opt/gone/deep/file'), '');
  writeFileSync(join(root, 'usr/lib/big'), Buffer.alloc(200_000, 'base'));
  linkSync(join(root, 'usr/bin/x'), join(root, 'usr/bin/y'));
  symlinkSync('usr/lib', join(root, 'lib'));
}

/** Everything that a layer can do to the files of a base. */
function changeBase(root: string): void {
  writeFileSync(join(root, 'usr/bin/new'), 'new', { mode: 0o4755 });
  linkSync(join(root, 'usr/bin/only'), join(root, 'usr/bin/linked'));
  rmSync(join(root, 'usr/bin/y'));
  rmSync(join(root, 'opt/gone'), { recursive: true });
  chmodSync(join(root, 'usr/share/empty'), 0o700);
  rmSync(join(root, 'etc/old'), { recursive: true });
  writeFileSync(join(root, 'etc/old'), 'a file now');
  rmSync(join(root, 'etc/file'));
  mkdirSync(join(root, 'etc/file'));
  writeFileSync(join(root, 'etc/file/within'), 'a directory now');
  rmSync(join(root, 'lib'));
  mkdirSync(join(root, 'lib'));
  symlinkSync('../usr/bin/x', join(root, 'lib/x'));
  renameSync(join(root, 'usr/lib/a/b/c'), join(root, 'usr/lib/a/moved'));
}

suite('an image above a base', needs('umoci', 'root'), () => {
  let scratch: string;
  let base: string;
  before(() => {
    scratch = scratchDirectory();
    base = `oci:${scratch}/layout:base`;
    const root = join(scratch, 'root');
    makeBase(root);
    build('--rootfs', root, '--mtime=keep', '--max-layers=3', '--annotation=a=1', base);
  });

  test('is what umoci unpacks of the image that it is made from', async () => {
    const raw = `oci:${scratch}/layout:raw`;
    addLayer(base, `${raw}1`, changeBase);
    addLayer(`${raw}1`, raw, (root) => {
      rmSync(join(root, 'usr/bin/new'));
      writeFileSync(join(root, 'opt/again'), '');
      utimesSync(join(root, 'usr/lib/big'), 1, 1);
    });
    const out = `oci:${scratch}/layout:out`;
    const { layers } = build('--from', raw, '--base', base, '--mtime=keep', out);

    assert.deepEqual(await unpacked(out), await unpacked(raw));
    ostrata(['verify', out]);
    const [ofBase, ofOut] = await Promise.all([base, out].map((each) => openImage(each)));
    const baseLayers = ofBase?.manifest.layers ?? [];
    assert.deepEqual(ofOut?.manifest.layers.slice(0, baseLayers.length), baseLayers);
    assert.equal(layers.filter((layer) => layer.base).length, baseLayers.length);
    const { history } = await configOf(out);
    const { history: baseHistory } = await configOf(base);
    assert.deepEqual(history.slice(0, baseHistory.length), baseHistory);
    const steps: readonly { empty_layer?: boolean }[] = history;
    const withoutLayer = steps.filter((entry) => entry.empty_layer);
    assert.equal(withoutLayer.length, 2, 'the two steps of umoci');
    assert.equal(steps.length - withoutLayer.length, layers.length);
    run('skopeo', ['copy', '--quiet', out, `dir:${scratch}/copy`]);
  });

  test('equals it whatever the layers are', async () => {
    const property = fc.asyncProperty(randomLayers, async (random) => {
      const layers = await sound(random);
      const from = forgePlain(layers).imgref;
      // Unlike ostrata, umoci refuses links to files that come later in the layer.
      const expected = await unpacked(from).catch(() => undefined);
      fc.pre(expected !== undefined);
      const lowest = forgePlain(layers.slice(0, 1)).imgref;
      const out = `oci:${join(scratchDirectory(), 'out')}:x`;
      build('--from', from, '--base', lowest, '--mtime=keep', '--compression=none', out);
      assert.deepEqual(await unpacked(out), expected);
    });
    await fc.assert(property, { numRuns: 5 });
  });

  test('shares base and equal layers with other variants', needs('docker-registry'), async (t) => {
    const registry = await startRegistry(join(scratch, 'registry'));
    t.after(() => registry.stop());
    const imgref = (name: string) => `registry:${registry.host}/os/${name}:latest`;
    run('skopeo', [
      'copy',
      '--quiet',
      '--dest-tls-verify=false',
      base,
      `docker://${registry.host}/os/base:latest`,
    ]);
    const driver = (size: number) => (root: string) => {
      mkdirSync(join(root, 'opt/driver'), { recursive: true });
      writeFileSync(join(root, 'opt/driver/lib'), Buffer.alloc(size, 'driver'));
    };
    const variant = (name: string, ...more: readonly string[]) =>
      build(
        '--from',
        `oci:${scratch}/layout:${name}`,
        '--base',
        imgref('base'),
        ...more,
        imgref(name),
      );
    addLayer(base, `oci:${scratch}/layout:nvidia`, driver(100_000));
    addLayer(base, `oci:${scratch}/layout:dx`, (root) => {
      driver(100_000)(root);
      writeFileSync(join(root, 'usr/tool'), 'tool');
      rmSync(join(root, 'usr/lib/big'));
    });
    const nvidia = variant('nvidia');
    const dx = variant('dx', '--previous-build', imgref('nvidia'));

    const digests = new Set(nvidia.layers.map(({ digest }) => digest));
    const fetched = dx.layers.filter(({ digest }) => !digests.has(digest));
    assert(fetched.every((layer) => !layer.base && !layer.reused));
    const fetchedComponents = fetched.flatMap(({ components }) => components);
    assert.deepEqual(fetchedComponents.toSorted(), ['dir:/usr', 'whiteouts']);
    assert(dx.layers.every(({ digest, reused }) => reused === digests.has(digest)));
  });
});

const file = (name: string, text: string) => ({
  name,
  type: 'file' as const,
  content: Buffer.from(text),
});
const BASE = [[file('a', '1')], [file('b', '2')]];

suite('a base that the image names itself', needs('docker-registry'), () => {
  let registry: Registry;
  before(async () => {
    registry = await startRegistry(join(scratchDirectory(), 'registry'));
  });
  after(() => registry.stop());

  /** Returns an image above `BASE` that says what it was built from. */
  function imageOn(annotations: Readonly<Record<string, string>>): string {
    const image = forgePlain([...BASE, [file('c', '3')]]);
    changeManifest<{ annotations: unknown }>(image, (manifest) => {
      manifest.annotations = annotations;
    });
    return image.imgref;
  }
  const NAME = 'org.opencontainers.image.base.name';
  const DIGEST = 'org.opencontainers.image.base.digest';

  test('is kept, also if its tag has moved', async () => {
    const name = `${registry.host}/os:base`;
    await copyImage(
      await openImage(forgePlain(BASE).imgref),
      await createImage(`registry:${name}`),
    );
    const base = await openImage(`registry:${name}`);
    const ofBase = base.manifest.layers.map(({ digest }) => digest);
    const digest = base.manifestDigest;
    await base.close?.();
    const others = await openImage(forgePlain([[file('other', '')]]).imgref);
    await copyImage(others, await createImage(`registry:${name}`));

    const from = imageOn({ [NAME]: name, [DIGEST]: digest });
    const { layers } = build(`--from=${from}`, '--base=auto', `oci:${scratchDirectory()}/out`);
    assert.deepEqual(
      layers.filter((layer) => layer.base).map((layer) => layer.digest),
      ofBase,
    );
    const moved = imageOn({ [NAME]: name });
    const args = ['build', `--from=${moved}`, '--base=auto', 'oci:none'];
    assert.match(tryOstrata(args).stderr, /does not begin with the layers of registry:.*os:base/);
  });

  test('has to be named where nothing is recorded', () => {
    const args = ['build', `--from=${imageOn({})}`, '--base=auto', 'oci:none'];
    const { status, stderr } = tryOstrata(args);
    assert.match(stderr, /does not say in its annotation .*base\.name.*; --base IMGREF names that/);
    assert.equal(status, 1);
  });
});

test('a base is found by its diff_ids, however it is compressed', () => {
  const base = forgePlain(BASE, { history: [{ created_by: 'step', author: 'me' }] }, 9).imgref;
  const from = forgePlain([...BASE, [file('c', '3')]], {}, 1).imgref;
  const { layers } = build('--from', from, '--base', base, `oci:${scratchDirectory()}/out`);
  assert.deepEqual(
    layers.map((layer) => [layer.base, layer.components.length]),
    [
      [true, 0],
      [true, 0],
      [false, 1],
    ],
  );
});

test('above another base, the layers that did not change are reused', async () => {
  const imageOn = (base: readonly (readonly ReturnType<typeof file>[])[]) => {
    const from = forgePlain([...base, [file('c', '3')]]).imgref;
    return ['--from', from, '--base', forgePlain(base).imgref];
  };
  const out = (name: string) => `oci:${join(directory, name)}:x`;
  const directory = scratchDirectory();
  build(...imageOn(BASE), out('first'));
  const newBase = [...BASE, [file('d', '4')]];
  const { layers } = build(...imageOn(newBase), '--previous-build', out('first'), out('second'));
  assert.deepEqual(
    layers.map(({ base, reused }) => [base, reused]),
    [
      [true, true],
      [true, true],
      [true, false],
      [false, true],
    ],
  );
  const { history } = await configOf(out('second'));
  assert.equal(history.length, 4, 'the base has no history');
});

test('a base that the image does not begin with is refused', () => {
  const from = ['--from', forgePlain([...BASE, [file('c', '3')]]).imgref];
  const other = ['--base', forgePlain([...BASE.slice(0, 1), [file('b', 'other')]]).imgref];
  const longer = ['--base', forgePlain([...BASE, [file('c', '3')], []]).imgref];
  const out = `oci:${scratchDirectory()}/out`;
  const refused: readonly (readonly [args: readonly string[], status: number, message: RegExp])[] =
    [
      [
        [...from, ...other],
        1,
        /does not begin with the layers of .*: layer 1, sha256:.*, is sha256:/,
      ],
      [[...from, ...longer], 1, /layer 3, sha256:.*, is missing there/],
      [['--rootfs=.', ...other], 2, /--base needs --from/],
      [
        [...from, '--base', forgePlain(BASE).imgref, '--max-layers=2'],
        2,
        /at most 2 layers are too few: .* has 2, .*--max-layers=3/,
      ],
    ];
  for (const [args, status, message] of refused) {
    const result = tryOstrata(['build', ...args, out]);
    assert.equal(result.status, status, result.stderr);
    assert.match(result.stderr, message);
  }
});

test('a step above a base stays in the history, also if the base has an equal one', async () => {
  const step = { created_by: 'CMD ["sh"]', empty_layer: true };
  const lower = { created_by: 'lower' };
  const upper = { created_by: 'upper' };
  const ofBase = [step, lower, lower];
  const base = forgePlain(BASE, { history: ofBase }).imgref;
  const history = [...ofBase, upper, step];
  const image = forgePlain([...BASE, [{ name: 'upper', type: 'file' }]], { history }).imgref;
  const out = `oci:${scratchDirectory()}/out`;
  build(`--from=${image}`, `--base=${base}`, out);
  const config = await configOf(out);
  const steps = config.history.map(({ created_by }: { created_by: string }) => created_by);
  const expected = history.map(({ created_by }) => created_by);
  assert.deepEqual(steps.slice(0, expected.length), expected);
});

test('without anything above it an image is its base', async () => {
  const { imgref } = forgePlain(BASE);
  const out = `oci:${scratchDirectory()}/out`;
  const { layers } = build('--from', imgref, '--base', imgref, out);
  assert.deepEqual(
    layers.map(({ base }) => base),
    [true, true],
  );
  ostrata(['verify', out]);
});

test('above an encapsulated commit the layers are derived ones, which are reused', async () => {
  const { image } = await buildImage(dir({ usr: dir({ x: '1' }) }));
  const base = await forge(image, () => {});
  const from = await forge(image, () => {}, {}, [[file('usr/y', '2')]]);
  const directory = scratchDirectory();
  const out = (name: string) => `oci:${join(directory, name)}:x`;
  const args = ['--from', from.imgref, '--base', base.imgref];
  build(...args, out('first'));
  const { layers } = build(...args, '--previous-build', out('first'), out('second'));
  assert(layers.every(({ reused }) => reused));
  assert.match(ostrata(['verify', out('second')]), /1 derived layer/);
});
