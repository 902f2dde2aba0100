/**
 * Previous builds by rpm-ostree or chunkah, with annotations, labels and history as those write
 * them.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startRegistry } from '../support/docker-registry.js';
import {
  type Build,
  blobPath,
  type Config,
  type Descriptor,
  encapsulate,
  type Manifest,
  namesOf,
} from '../support/read-image.js';
import { repoRoot } from '../support/root.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const repo = (name: string) => `--repo=${join(repoRoot, 'rpmdb-fixtures/sample', name)}`;
const MAX_LAYERS = 9;

/** What a tool writes about a layer. */
interface Told {
  readonly layer: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly history: object;
}

suite('a previous build of another tool', () => {
  let scratch: string;
  let own: Build;
  /** The ids of the packages in each chunk layer of {@link own}. */
  let packages: string[][];
  let sources: ReadonlyMap<string, string>;
  /** Packages that the new build does not have. */
  let gone: number;
  const isPackage = (id: string) => /\.(x86_64|noarch)$/.test(id);

  /** Source packages by component id. */
  function sourcesOf(build: string): ReadonlyMap<string, string> {
    const file = join(scratch, 'components.json');
    ostrata(['layout', 'plan', '--quiet', `--write-components=${file}`, repo(build), 'sample/os']);
    const { components } = JSON.parse(readFileSync(file, 'utf8')) as {
      components: { id: string; source: string }[];
    };
    return new Map(components.map(({ id, source }) => [id, source]));
  }

  before(() => {
    scratch = scratchDirectory();
    const args = [`--max-layers=${MAX_LAYERS}`, '--format-version=1'];
    own = encapsulate(
      repo('old').slice('--repo='.length),
      'sample/os',
      join(scratch, 'image'),
      args,
    );
    sources = sourcesOf('old');
    const now = sourcesOf('new');
    gone = [...sources.keys()].filter((id) => isPackage(id) && !now.has(id)).length;
    packages = own.result.layers.slice(1).map((layer) => layer.components.filter(isPackage));
  });

  /** Makes an image `tag` of the layers of {@link own} with other labels and descriptions. */
  function retell(tag: string, labels: Readonly<Record<string, string>>, told: readonly Told[]) {
    const { directory, manifest, config } = own.image;
    const put = (value: object, { mediaType }: Descriptor): Descriptor => {
      const bytes = Buffer.from(JSON.stringify(value));
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      writeFileSync(blobPath(directory, digest), bytes);
      return { mediaType, digest, size: bytes.length };
    };
    const indexPath = join(directory, 'index.json');
    const index = JSON.parse(readFileSync(indexPath, 'utf8')) as { manifests: Descriptor[] };
    const diffIds = new Map(
      manifest.layers.map(({ digest }, i) => [digest, config.rootfs.diff_ids[i]]),
    );
    const diff_ids = told.map(({ layer }) => diffIds.get(layer.digest) ?? EMPTY_LAYER.diffId);
    const newConfig: Config = {
      ...config,
      config: { Labels: labels },
      rootfs: { type: 'layers', diff_ids: diff_ids as string[] },
      history: told.map(({ history }) => history),
    };
    const newManifest: Manifest = {
      ...manifest,
      config: put(newConfig, manifest.config),
      layers: told.map(({ layer: { mediaType, digest, size }, annotations }) => ({
        ...{ mediaType, digest, size },
        ...(annotations && { annotations }),
      })),
      annotations: labels,
    };
    const entry = put(newManifest, index.manifests[0] as Descriptor);
    const annotations = { 'org.opencontainers.image.ref.name': tag };
    writeFileSync(
      indexPath,
      JSON.stringify({ ...index, manifests: [...index.manifests, { ...entry, annotations }] }),
    );
    return {
      reference: `oci:${directory}:${tag}`,
      manifestPath: blobPath(directory, entry.digest),
    };
  }

  /** Follows `previous` in a dry run; returns warnings and the packages by chunk layer. */
  function planAfter(previous: string, maxLayers: number) {
    return follow(['--dry-run', previous], maxLayers);
  }

  /** Encapsulates the new build after `previous`; returns what {@link planAfter} returns. */
  function buildAfter(previous: string, maxLayers: number) {
    const followed = follow([previous], maxLayers);
    ostrata(['verify', '--quiet', followed.target]);
    return followed;
  }

  function follow(options: readonly string[], maxLayers: number) {
    const target = `oci:${join(scratch, 'followed')}:${maxLayers}`;
    const limit = `--max-layers=${maxLayers}`;
    const args = [repo('new'), limit, ...options, '--json', 'sample/os', target];
    const { status, stdout, stderr } = tryOstrata(['container-encapsulate', ...args]);
    assert.equal(status, 0, stderr);
    const { layers } = JSON.parse(stdout) as Build['result'];
    assert.ok(layers.length <= maxLayers);
    assert.ok(layers.every(({ reused }) => !reused));
    return { target, stderr, layers: layers.slice(1).map(({ components }) => components) };
  }

  /** Asserts that packages stay together, except those that are gone or that no name describes. */
  function assertFollowed(layers: readonly (readonly string[])[]): void {
    const now = new Set(layers.flat());
    for (const before of packages) {
      const kept = before.filter((id) => now.has(id));
      assert.ok(
        layers.some((layer) => kept.every((id) => layer.includes(id))),
        `${kept} in: ${layers.join('; ')}`,
      );
    }
  }

  const created = '2026-11-25T00:00:00Z';

  test('the layout of rpm-ostree is read from annotations and history', () => {
    const { layers: old } = own.image.manifest;
    writeFileSync(blobPath(own.image.directory, EMPTY_LAYER.layer.digest), EMPTY_LAYER.bytes);
    const nevras = new Map(
      ostrata(['rpmdb', 'list', repo('old'), 'sample/os', '--qf', '%{NAME}.%{ARCH} %{NEVRA}\\n'])
        .trim()
        .split('\n')
        .map((line) => line.split(' ') as [string, string]),
    );
    const createdBy = (ids: readonly string[]) =>
      ids.length > 5 ? `${ids.length} components` : ids.map((id) => nevras.get(id)).join(' and ');
    const { 'ostrata.layout': _, ...labels } = own.image.config.config.Labels;
    const { reference, manifestPath } = retell(
      'rpm-ostree',
      { ...labels, 'ostree.final-diffid': EMPTY_LAYER.diffId },
      [
        { layer: old[0] as Descriptor, history: { created, created_by: 'sample', comment: '' } },
        ...packages.map((ids, i) => ({
          layer: old[i + 1] as Descriptor,
          annotations: { 'ostree.components': namesOf(ids).sort().join(',') },
          history: { created, created_by: createdBy(ids) },
        })),
        {
          layer: EMPTY_LAYER.layer,
          annotations: { 'ostree.components': '' },
          history: { created, created_by: 'Reserved for new packages' },
        },
      ],
    );
    const warning = new RegExp(
      `warning: previous layout: ${gone} names fit no component of this tree and are ignored\n`,
    );
    for (const followed of [
      buildAfter(`--previous-build=${reference}`, MAX_LAYERS + 4),
      planAfter(`--previous-build=${reference}`, 2),
    ]) {
      assert.match(followed.stderr, warning);
    }
    const { stderr, layers } = planAfter(
      `--previous-build-manifest=${manifestPath}`,
      MAX_LAYERS + 4,
    );
    assert.match(stderr, warning);
    assertFollowed(layers);
  });

  test('the layout of chunkah, without a commit layer, is read from annotations and history', () => {
    const told = packages.map((ids, i) => {
      const names = [...new Set(ids.map((id) => `rpm/${sources.get(id)}`))];
      const comment = (names.length > 0 ? names.sort() : ['chunkah/unclaimed']).join(' ');
      return {
        layer: own.image.manifest.layers[i + 1] as Descriptor,
        annotations: { 'org.chunkah.component': comment, 'org.chunkah.stability': '0.900' },
        history: { created, author: 'chunkah', created_by: 'chunkah', comment },
      };
    });
    const whole = retell('chunkah', {}, told);
    // Some builders drop the annotations of layers.
    const bare = retell(
      'chunkah-history',
      {},
      told.map(({ layer, history }) => ({ layer, history })),
    );
    for (const { reference } of [whole, bare]) {
      for (const { stderr } of [
        buildAfter(`--previous-build=${reference}`, MAX_LAYERS + 4),
        planAfter(`--previous-build=${reference}`, 2),
      ]) {
        assert.match(
          stderr,
          /warning: oci:\S+ was made by another tool: its layout is followed by component names/,
        );
        assert.match(stderr, /warning: previous layout: \d names fit no component/);
      }
    }
    assertFollowed(
      planAfter(`--previous-build-manifest=${whole.manifestPath}`, MAX_LAYERS + 4).layers,
    );
    const twice = [`--previous-build=${whole.reference}`, `--previous-build=${bare.reference}`];
    ostrata([
      'container-encapsulate',
      '--quiet',
      repo('new'),
      ...twice,
      'sample/os',
      `oci:${join(scratch, 'twice')}:x`,
    ]);
  });

  const NAMES = 'ostree.components';
  const NOTHING_SAID = /says nothing about its components: the layout is planned anew/;
  const BY_NAME = /was made by another tool: its layout is followed by component names/;
  const CONTRADICTION = /warning: \S+ .*; none of its layers is reused/;
  const STALE = { 'ostree.final-diffid': `sha256:${'0'.repeat(64)}` };
  /** What may have become of an image of rpm-ostree. */
  const damages: readonly {
    readonly damage: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly change: (told: readonly Told[]) => readonly Told[];
    readonly warning: RegExp;
  }[] = [
    {
      damage: 'all annotations were lost',
      change: (told) => told.map(({ layer, history }) => ({ layer, history })),
      warning: NOTHING_SAID,
    },
    {
      damage: 'each name occurs twice',
      change: (told) =>
        told.map((each) => {
          const names = each.annotations?.[NAMES];
          return names ? { ...each, annotations: { [NAMES]: `${names},${names}` } } : each;
        }),
      warning: BY_NAME,
    },
    {
      damage: 'all layers have the same names',
      change: (told) =>
        told.map((each) => (each.annotations ? { ...each, ...annotationsOf(told.at(-1)) } : each)),
      warning: BY_NAME,
    },
    {
      damage: 'only one layer has an annotation',
      change: (told) =>
        told.map(({ layer, history }, i) => ({
          ...{ layer, history },
          ...(i === told.length - 1 ? annotationsOf(told[i]) : {}),
        })),
      warning: BY_NAME,
    },
    {
      damage: 'it has the commit layer only',
      change: (told) => told.slice(0, 1),
      warning: CONTRADICTION,
    },
    {
      damage: 'a label names a layer that it does not have',
      labels: STALE,
      change: (told) => told,
      warning: CONTRADICTION,
    },
    {
      damage: 'a layer occurs twice',
      change: (told) => [...told.slice(0, 2), ...told.slice(1)],
      warning: CONTRADICTION,
    },
  ];
  const annotationsOf = (told: Told | undefined) =>
    told?.annotations ? { annotations: told.annotations } : {};

  for (const [i, { damage, labels: changedLabels, change, warning }] of damages.entries()) {
    test(`is no error if ${damage}`, () => {
      const { layers: old } = own.image.manifest;
      const { 'ostrata.layout': _, ...labels } = own.image.config.config.Labels;
      const history = { created, created_by: 'sample' };
      const told: readonly Told[] = [
        { layer: old[0] as Descriptor, history },
        ...packages.map((ids, at) => ({
          layer: old[at + 1] as Descriptor,
          annotations: { [NAMES]: namesOf(ids).sort().join(',') },
          history,
        })),
      ];
      const all = { ...labels, ...changedLabels };
      const { reference, manifestPath } = retell(`damaged-${i}`, all, change(told));
      assert.match(buildAfter(`--previous-build=${reference}`, MAX_LAYERS).stderr, warning);
      planAfter(`--previous-build-manifest=${manifestPath}`, 2);
    });
  }
});

const bothNeeded = needs('docker-registry', 'skopeo');

test(
  'layers that skopeo pushed in the form of Docker become layers of OCI',
  bothNeeded,
  async (t) => {
    const scratch = scratchDirectory();
    const registry = await startRegistry(join(scratch, 'registry'));
    t.after(() => registry.stop());
    const path = join(repoRoot, 'rpmdb-fixtures/sample/old');
    const first = encapsulate(path, 'sample/os', join(scratch, 'first'), []);
    const docker = `docker://${registry.host}/os:docker`;
    const skopeo = ['--insecure-policy', 'copy', '--quiet'];
    const asDocker = ['--format=v2s2', '--dest-tls-verify=false'];
    run('skopeo', [...skopeo, ...asDocker, first.image.reference, docker]);

    const args = [`--previous-build=${docker}`, '--tls-verify=false'];
    const { image } = encapsulate(path, 'sample/os', join(scratch, 'second'), args);
    assert.deepEqual(image.manifest.layers, first.image.manifest.layers);
    ostrata(['verify', '--quiet', image.reference]);
    run('skopeo', [...skopeo, image.reference, `dir:${join(scratch, 'accepted')}`]);
  },
);

/** An empty tar. */
const EMPTY_LAYER = (() => {
  const tar = Buffer.alloc(1024);
  const bytes = gzipSync(tar);
  const digest = (data: Uint8Array) => `sha256:${createHash('sha256').update(data).digest('hex')}`;
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
  return {
    bytes,
    diffId: digest(tar),
    layer: { mediaType, digest: digest(bytes), size: bytes.length },
  };
})();
