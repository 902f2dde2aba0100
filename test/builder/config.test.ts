import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assembleImage,
  commitLabels,
  componentsAnnotation,
  createdBy,
  type ImageOptions,
} from '../../src/builder/config.js';
import type { OwnedComponent } from '../../src/components/assign.js';
import { OCI_LAYER } from '../../src/oci/media-types.js';
import { parseConfig, parseManifest } from '../../src/oci/types.js';
import type { Variant } from '../../src/ostree/gvariant/value.js';
import type { Commit, Metadata } from '../../src/ostree/objects/commit.js';

const CHECKSUM = 'c'.repeat(64);
const layers = ['a', 'b'].map((digit) => ({
  diffId: `sha256:${digit.repeat(64)}`,
  descriptor: { mediaType: OCI_LAYER, digest: `sha256:${digit.repeat(64)}`, size: 1 },
  createdBy: `layer ${digit}`,
}));

function assemble(
  metadata: Metadata,
  options: Partial<ImageOptions> = {},
  timestamp = 1_700_000_000,
) {
  const parsed = { metadata, timestamp, subject: '' } as unknown as Commit;
  const labels = { ...commitLabels(parsed, options), 'ostrata.layout': '{}' };
  const image = assembleImage(
    { checksum: CHECKSUM, parsed },
    layers,
    { ...options, architecture: 'amd64' },
    labels,
  );
  const config = JSON.parse(Buffer.from(image.config).toString());
  return {
    ...image,
    config: parseConfig(image.config),
    raw: config.config,
    annotations: parseManifest(image.manifest).annotations ?? {},
  };
}
const string = (value: string) => ({ type: 's', value });
const everything: Metadata = new Map<string, Variant>([
  ['version', string('41.1')],
  ['ostree.bootable', { type: 'b', value: true }],
  ['ostree.linux', string('6.1')],
  ['rpmostree.inputhash', string('hash')],
  ['ostree.container-cmd', { type: 'as', value: ['/sbin/init'] }],
  ['my.key', string('mine')],
  ['my.number', { type: 'u', value: 7 }],
]);

test('labels of the commit, and each of them is a manifest annotation', () => {
  const { config, annotations } = assemble(everything);
  assert.deepEqual(config.config?.Labels, {
    'org.opencontainers.image.version': '41.1',
    'ostree.bootable': 'true',
    'containers.bootc': '1',
    'ostree.linux': '6.1',
    'rpmostree.inputhash': 'hash',
    'ostree.commit': CHECKSUM,
    'ostree.final-diffid': layers[1]?.diffId,
    'ostrata.layout': '{}',
  });
  assert.deepEqual(annotations, config.config?.Labels);
  assert.deepEqual(Object.keys(assemble(new Map()).annotations).sort(), [
    'ostrata.layout',
    'ostree.commit',
    'ostree.final-diffid',
  ]);
});

test('what the user adds: labels, keys of the commit, a command, a config to start from', () => {
  const imageConfig = { Env: ['A=b'], Cmd: ['base'], Labels: { base: '1', mine: 'base' } };
  const options = {
    labels: { mine: 'yes', 'ostree.commit': 'forged' },
    imageConfig,
    copyMeta: ['my.key'],
    copyMetaOptional: ['none'],
  };
  const { raw, annotations } = assemble(everything, options);
  assert.deepEqual(raw.Env, ['A=b']);
  assert.deepEqual(raw.Cmd, ['/sbin/init']);
  assert.deepEqual([raw.Labels.base, raw.Labels.mine, raw.Labels['my.key']], ['1', 'yes', 'mine']);
  assert.equal(raw.Labels['ostree.commit'], CHECKSUM, 'what clients rely on cannot be overridden');
  assert.equal(annotations.base, undefined, 'labels of the config are not annotations');
  assert.deepEqual(assemble(everything, { ...options, cmd: ['sh'] }).raw.Cmd, ['sh']);
  assert.deepEqual(assemble(new Map(), { imageConfig }).raw.Cmd, ['base']);
  for (const key of ['none', 'my.number']) {
    assert.throws(() => assemble(everything, { copyMeta: [key] }), {
      code: 'NOT_FOUND',
      message: new RegExp(key),
    });
  }
});

test('times: of the commit or as given, in a form that every reader takes', () => {
  assert.equal(assemble(new Map()).config.created, '2023-11-14T22:13:20Z');
  const { config } = assemble(new Map(), { created: 0 });
  assert.deepEqual(
    [config.created, ...(config.history ?? []).map(({ created }) => created)],
    Array(3).fill('1970-01-01T00:00:00Z'),
  );
  assert.equal(assemble(new Map(), {}, 253_402_300_799).config.created, '9999-12-31T23:59:59Z');
  assert.throws(() => assemble(new Map(), {}, 253_402_300_800), {
    code: 'UNSUPPORTED',
    message: /timestamp 253402300800/,
  });
});

test('the same image has the same digests; config and manifest fit each other', () => {
  const [first, again] = [assemble(everything), assemble(new Map([...everything].reverse()))];
  assert.equal(first.manifestDigest, again.manifestDigest);
  assert.equal(parseManifest(first.manifest).config.digest, first.configDigest);
  assert.deepEqual(
    first.config.rootfs.diff_ids,
    layers.map(({ diffId }) => diffId),
  );
  assert.deepEqual(
    first.config.history?.map(({ created_by }) => created_by),
    ['layer a', 'layer b'],
  );
});

const component = (id: string, ...nevras: string[]): OwnedComponent =>
  ({
    id,
    name: id.split('.')[0],
    facts: { packages: nevras.map((nevra) => ({ nevra })) },
  }) as unknown as OwnedComponent;

test('layers are annotated with plain names, each once', () => {
  const components = [
    component('z'),
    component('a,b'),
    component('glibc.x86_64'),
    component('glibc.i686'),
  ];
  assert.deepEqual(componentsAnnotation(components), { 'ostree.components': 'a%2Cb,glibc,z' });
  assert.deepEqual(componentsAnnotation([]), { 'ostree.components': '' });
});

test('the history of a layer names up to five components, then counts them', () => {
  const five = ['e', 'd', 'c', 'b', 'a'].map((id) => component(id));
  assert.equal(
    createdBy([component('kernel.x86_64', 'kernel-2', 'kernel-1'), component('initramfs')]),
    'initramfs and kernel-1 and kernel-2',
  );
  assert.equal(createdBy(five), 'a and b and c and d and e');
  assert.equal(createdBy([...five, component('f')]), '6 components');
});
