import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  commitDescription,
  describeCommit,
  type ImageOptions,
} from '../../src/builder/commit-config.js';
import { assembleImage, componentsAnnotation, createdBy } from '../../src/builder/image-config.js';
import type { OwnedComponent } from '../../src/components/assign.js';
import { OCI_LAYER } from '../../src/oci/media-types.js';
import { parseConfig, parseManifest } from '../../src/oci/types.js';
import type { Variant } from '../../src/ostree/gvariant/value.js';
import type { Commit, Metadata } from '../../src/ostree/objects/commit.js';

const CHECKSUM = 'c'.repeat(64);
const NO_METADATA: Metadata = new Map();

const layers = ['a', 'b'].map((digit) => ({
  diffId: `sha256:${digit.repeat(64)}`,
  descriptor: { mediaType: OCI_LAYER, digest: `sha256:${digit.repeat(64)}`, size: 1 },
  createdBy: `layer ${digit}`,
}));

const string = (value: string) => ({ type: 's', value });
const fullMetadata: Metadata = new Map<string, Variant>([
  ['version', string('41.1')],
  ['ostree.bootable', { type: 'b', value: true }],
  ['ostree.linux', string('6.1')],
  ['rpmostree.inputhash', string('hash')],
  ['ostree.container-cmd', { type: 'as', value: ['/sbin/init'] }],
  ['my.key', string('mine')],
  ['my.number', { type: 'u', value: 7 }],
]);

/** Assembles the image of a commit, and parses what was assembled. */
function assemble(
  metadata: Metadata,
  options: Partial<ImageOptions> = {},
  timestamp = 1_700_000_000,
) {
  const parsed = { metadata, timestamp, subject: '' } as unknown as Commit;
  const description = describeCommit({ checksum: CHECKSUM, parsed }, 'amd64', options);
  const image = assembleImage(description, layers, '{}');
  return {
    ...image,
    config: parseConfig(image.config),
    rawConfig: JSON.parse(Buffer.from(image.config).toString()).config,
    annotations: parseManifest(image.manifest).annotations ?? {},
  };
}

test('labels come from the metadata of the commit', () => {
  const { config } = assemble(fullMetadata);
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
});

test('every label is also a manifest annotation', () => {
  const { config, annotations } = assemble(fullMetadata);
  assert.deepEqual(annotations, config.config?.Labels);
});

test('a commit without metadata has only the labels that clients need', () => {
  assert.deepEqual(Object.keys(assemble(NO_METADATA).annotations).sort(), [
    'ostrata.layout',
    'ostree.commit',
    'ostree.final-diffid',
  ]);
});

test('an undefined label is left out of config and manifest', () => {
  const parsed = { metadata: NO_METADATA, timestamp: 0, subject: '' } as unknown as Commit;
  const description = describeCommit({ checksum: CHECKSUM, parsed }, 'amd64', {});
  const image = assembleImage(description, layers, undefined);
  assert.doesNotMatch(Buffer.from(image.config).toString(), /ostrata\.layout/);
  assert.doesNotMatch(Buffer.from(image.manifest).toString(), /ostrata\.layout/);
});

test('labels of the user win over those of the base config', () => {
  const { rawConfig } = assemble(fullMetadata, {
    labels: { mine: 'yes' },
    imageConfig: { Labels: { base: '1', mine: 'base' } },
    copyMeta: ['my.key'],
    copyMetaOptional: ['missing'],
  });
  const { base, mine, 'my.key': copied } = rawConfig.Labels;
  assert.deepEqual([base, mine, copied], ['1', 'yes', 'mine']);
});

test('labels of the base config are not annotations', () => {
  const { annotations } = assemble(fullMetadata, { imageConfig: { Labels: { base: '1' } } });
  assert.equal(annotations.base, undefined);
});

test('the label with the commit cannot be overridden', () => {
  const { rawConfig } = assemble(fullMetadata, { labels: { 'ostree.commit': 'forged' } });
  assert.equal(rawConfig.Labels['ostree.commit'], CHECKSUM);
});

test('other members of the base config are kept', () => {
  const { rawConfig } = assemble(fullMetadata, { imageConfig: { Env: ['A=b'], User: 'x' } });
  assert.deepEqual([rawConfig.Env, rawConfig.User], [['A=b'], 'x']);
});

test('the command comes from the option, else the commit, else the base config', () => {
  const imageConfig = { Cmd: ['base'] };
  assert.deepEqual(assemble(fullMetadata, { imageConfig, cmd: ['sh'] }).rawConfig.Cmd, ['sh']);
  assert.deepEqual(assemble(fullMetadata, { imageConfig }).rawConfig.Cmd, ['/sbin/init']);
  assert.deepEqual(assemble(NO_METADATA, { imageConfig }).rawConfig.Cmd, ['base']);
  assert.equal('Cmd' in assemble(NO_METADATA).rawConfig, false);
});

test('a metadata key to be copied must exist and have a string value', () => {
  for (const key of ['missing', 'my.number']) {
    assert.throws(() => assemble(fullMetadata, { copyMeta: [key] }), {
      code: 'NOT_FOUND',
      message: new RegExp(key),
    });
  }
});

test('a metadata key can have a name that every object has', () => {
  const metadata: Metadata = new Map([['__proto__', { type: 's', value: 'mine' }]]);
  const { rawConfig } = assemble(metadata, { copyMeta: ['__proto__'] });
  assert.equal(new Map(Object.entries(rawConfig.Labels)).get('__proto__'), 'mine');
});

test('times are those of the commit', () => {
  assert.equal(assemble(NO_METADATA).config.created, '2023-11-14T22:13:20Z');
});

test('the created option replaces all times', () => {
  const { config } = assemble(NO_METADATA, { created: 0 });
  const times = [config.created, ...(config.history ?? []).map(({ created }) => created)];
  assert.deepEqual(times, Array(3).fill('1970-01-01T00:00:00Z'));
});

test('a time after the year 9999 is an error', () => {
  const lastSecond = 253_402_300_799;
  assert.equal(assemble(NO_METADATA, {}, lastSecond).config.created, '9999-12-31T23:59:59Z');
  assert.throws(() => assemble(NO_METADATA, {}, lastSecond + 1), {
    code: 'UNSUPPORTED',
    message: /timestamp 253402300800/,
  });
});

test('the order of the commit metadata does not change the digests', () => {
  const first = assemble(fullMetadata);
  const reordered = assemble(new Map([...fullMetadata].reverse()));
  assert.equal(first.manifestDigest, reordered.manifestDigest);
});

test('manifest and config list the same layers', () => {
  const { config, manifest, configDigest } = assemble(fullMetadata);
  assert.equal(parseManifest(manifest).config.digest, configDigest);
  const { diff_ids: diffIds } = config.rootfs;
  assert.deepEqual(
    diffIds,
    layers.map(({ diffId }) => diffId),
  );
  assert.deepEqual(
    config.history?.map(({ created_by }) => created_by),
    ['layer a', 'layer b'],
  );
});

function component(id: string, ...nevras: string[]): OwnedComponent {
  const packages = nevras.map((nevra) => ({ nevra }));
  return { id, name: id.split('.')[0], facts: { packages } } as unknown as OwnedComponent;
}

test('the annotation of a layer lists each component name once', () => {
  const ids = ['z', 'a,b', 'glibc.x86_64', 'glibc.i686'];
  const components = ids.map((id) => component(id));
  assert.deepEqual(componentsAnnotation(components), { 'ostree.components': 'a%2Cb,glibc,z' });
  assert.deepEqual(componentsAnnotation([]), { 'ostree.components': '' });
});

test('the history of a layer names the packages of its components', () => {
  const kernel = component('kernel.x86_64', 'kernel-2', 'kernel-1');
  assert.equal(createdBy([kernel, component('initramfs')]), 'initramfs and kernel-1 and kernel-2');
});

test('the history of a layer with more than five components counts them', () => {
  const five = ['e', 'd', 'c', 'b', 'a'].map((id) => component(id));
  assert.equal(createdBy(five), 'a and b and c and d and e');
  assert.equal(createdBy([...five, component('f')]), '6 components');
});

test('the history of the commit layer is the subject of the commit', () => {
  const description = (subject: string) =>
    commitDescription({ checksum: CHECKSUM, parsed: { subject } as unknown as Commit });
  assert.equal(description('Release 41'), 'Release 41');
  assert.equal(description(''), `ostree export of commit ${CHECKSUM}`);
});
