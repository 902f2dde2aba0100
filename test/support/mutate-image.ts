/**
 * Random changes of images, for fuzzers: of tar entries, tar bytes, ostree objects, compressed
 * streams and JSON. Digests stay true, so that each change meets the code that it is meant for.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { must } from '../../src/errors.js';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import {
  changeManifest,
  type ForgedEntry,
  type ForgedImage,
  rewriteManifest,
  writeLayout,
  writeTar,
} from './forge-image.js';
import { mutateObjects } from './mutate-objects.js';
import { mutateEntries, mutateTar } from './mutate-tar.js';
import { damaged, pick, type Random } from './random-damage.js';
import { zstdOfZeros } from './zstd-bomb.js';

/** An image to change, taken apart. */
export interface BaseImage {
  readonly layers: readonly (readonly ForgedEntry[])[];
  /** Number of layers of the ostree commit; 0 for a plain image. */
  readonly commitLayers: number;
  readonly config: Uint8Array;
}

export interface MutatedImage extends ForgedImage {
  /** What was changed. */
  readonly change: string;
  /** The uncompressed layers. */
  readonly tars: readonly Uint8Array[];
}

const CHANGES = ['entries', 'tar', 'objects', 'stream', 'json'] as const;
/** Most content of one block of zstd. */
const ZSTD_BLOCK = 128 << 10;

/** Writes a changed copy of an image into a new OCI image layout. */
export function mutateImage(base: BaseImage, random: Random): MutatedImage {
  const wanted = pick(CHANGES, random);
  const change = wanted === 'objects' && base.commitLayers === 0 ? 'entries' : wanted;
  const layers = base.layers.map((entries) => entries.map((entry) => ({ ...entry })));
  const labels: Record<string, string> = {};

  if (change === 'objects') {
    labels['ostree.commit'] = mutateObjects(layers, random);
  } else if (change === 'entries') {
    for (let count = 1 + random(2); count > 0; count--) {
      mutateEntries(pick(layers, random), random);
    }
  }
  const tars = layers.map(writeTar);
  if (change === 'tar') {
    const at = random(tars.length);
    tars[at] = mutateTar(must(tars[at], `layer ${at}`), random);
  }

  const config = configOf(base, tars, labels);
  const isConfigChanged = change === 'json' && random(2) === 0;
  const image = writeLayout(isConfigChanged ? mutateJson(config, random) : config, tars);
  if (change === 'json' && !isConfigChanged) {
    rewriteManifest(image, (manifest) => mutateJson(manifest, random));
  } else if (change === 'stream') {
    mutateStream(image, tars, random);
  }
  return { ...image, change, tars };
}

function configOf(
  { config, commitLayers }: BaseImage,
  tars: readonly Uint8Array[],
  labels: Readonly<Record<string, string>>,
): Uint8Array {
  const parsed = JSON.parse(Buffer.from(config).toString());
  const diffIds = tars.map(sha256Digest);
  parsed.rootfs.diff_ids = diffIds;
  parsed.history = undefined;
  if (commitLayers > 0) {
    const final = diffIds[commitLayers - 1];
    Object.assign(parsed.config.Labels, { 'ostree.final-diffid': final }, labels);
  }
  return canonicalJson(parsed);
}

/** Replaces the blob of one layer by another stream, sound or not, of the same tar. */
function mutateStream(image: ForgedImage, tars: readonly Uint8Array[], random: Random): void {
  const at = random(tars.length);
  const tar = must(tars[at], `layer ${at}`);
  const half = Math.floor(tar.length / 2);
  const isZstd = random(3) === 0 && tar.length <= 2 * ZSTD_BLOCK;
  const sound = isZstd
    ? zstdOfZeros(tar.subarray(0, half), 0, tar.subarray(half))
    : gzipSync(tar, { level: 1 });
  const changes: readonly (() => Uint8Array)[] = [
    () => sound,
    () => damaged(sound, random),
    () => damaged(sound, random),
    () => sound.subarray(0, random(sound.length)),
    () => Buffer.concat([sound, Buffer.alloc(1 + random(600), random(2))]),
    () => Buffer.concat([sound, sound]),
    () => Buffer.concat([gzipSync(tar.subarray(0, half)), gzipSync(tar.subarray(half))]),
    () => Buffer.concat([Buffer.from('502a4d180400000078787878', 'hex'), sound]),
    () => Buffer.concat([sound, gzipSync('')]),
    () => tar,
    () => Buffer.alloc(0),
  ];
  const blob = pick(changes, random)();
  const digest = sha256Digest(blob);
  writeFileSync(join(image.directory, 'blobs', digest.replace(':', '/')), blob);
  const type = `application/vnd.oci.image.layer.v1.tar+${isZstd ? 'zstd' : 'gzip'}`;
  changeManifest<{ layers: object[] }>(image, ({ layers }) => {
    Object.assign(must(layers[at], `layer ${at}`), { mediaType: type, digest, size: blob.length });
  });
}

const VALUES: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => -1,
  () => 0,
  () => 1e300,
  () => 0.5,
  () => '',
  () => 'constructor',
  () => '__proto__',
  () => 'sha256:',
  () => `sha256:${'0'.repeat(64)}`,
  () => `sha512:${'0'.repeat(128)}`,
  () => 'application/vnd.oci.image.layer.v1.tar',
  () => 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  () => '\u202e\u001b[2J',
  () => 'x'.repeat(70_000),
  () => [],
  () => ({}),
  () => [[[[]]]],
];

/** Changes one value in JSON, or its bytes. */
function mutateJson(bytes: Uint8Array, random: Random): Uint8Array {
  const text = Buffer.from(bytes).toString();
  const deep = '['.repeat(100) + ']'.repeat(100);
  const changes: readonly (() => string | Uint8Array)[] = [
    () => damaged(bytes, random),
    () => text.replace('{', `{"deep":${deep},`),
    () => text.replace('{', '{"__proto__":{"layers":[]},'),
    () => `${text} `,
    () => `${text}{}`,
    () => `\ufeff${text}`,
  ];
  if (random(4) === 0) {
    return Buffer.from(pick(changes, random)());
  }

  const root = JSON.parse(text);
  changeValue(root, random);
  return Buffer.from(JSON.stringify(root));
}

/** Walks down at random, then changes, removes or repeats the member that it has come to. */
function changeValue(node: object, random: Random): void {
  const key = pick(Object.keys(node), random);
  const members = node as Record<string, unknown>;
  const value = members[key];
  const isBranch = typeof value === 'object' && value !== null && Object.keys(value).length > 0;
  if (isBranch && random(6) > 0) {
    changeValue(value, random);
    return;
  }

  const other = members[pick(Object.keys(members), random)];
  const isList = Array.isArray(node);
  const set = (replacement: unknown) => Reflect.set(node, key, replacement);
  const changes: readonly (() => unknown)[] = [
    () => (isList ? node.splice(Number(key), 1) : Reflect.deleteProperty(node, key)),
    () => (isList ? node.push(value) : Reflect.set(node, `${key}2`, value)),
    () => set(other),
    () => set(pick(VALUES, random)()),
    () => set(pick(VALUES, random)()),
    () => set(typeof value === 'number' ? value + 1 : `${value}x`),
  ];
  pick(changes, random)();
}
