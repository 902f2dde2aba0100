/**
 * Builds images with the program and reads them back without the project's code, so that a mistake
 * in our reader cannot hide one in our writer.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ostrata, type RunOptions, run } from './run.js';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}
export interface Manifest {
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}
export interface Config {
  readonly architecture: string;
  readonly os: string;
  readonly created?: string;
  readonly config: {
    readonly Labels: Readonly<Record<string, string>>;
    readonly Cmd?: readonly string[];
    readonly Env?: readonly string[];
  };
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
  readonly history: readonly {
    readonly created_by?: string;
    readonly created?: string;
    readonly empty_layer?: boolean;
  }[];
}
export interface Image {
  readonly reference: string;
  readonly directory: string;
  readonly manifestDigest: string;
  readonly manifest: Manifest;
  readonly config: Config;
}
/** What `container-encapsulate --json` prints. */
export interface Result {
  readonly manifestDigest: string;
  readonly configDigest: string;
  readonly commit: string;
  readonly layers: readonly {
    readonly digest: string;
    readonly diffId: string;
    readonly size: number;
    readonly contentSize: number;
    readonly components: readonly string[];
    readonly reused: boolean;
  }[];
  /** What clients of the previous build download; undefined without one. */
  readonly update?: { readonly layers: number } | undefined;
}

const sha256 = (data: Uint8Array) => `sha256:${createHash('sha256').update(data).digest('hex')}`;
/** The path of a blob in the OCI image layout at `directory`. */
export const blobPath = (directory: string, digest: string) =>
  join(directory, 'blobs', digest.replace(':', '/'));

function readBlob(directory: string, { digest, size }: Descriptor): Buffer {
  const data = readFileSync(blobPath(directory, digest));
  assert.equal(sha256(data), digest, `the bytes of blob ${digest}`);
  assert.equal(data.length, size, `the size of blob ${digest}`);
  return data;
}

/** Returns the uncompressed bytes of a layer; asserts its digest and size. */
export function readLayer({ directory }: Image, layer: Descriptor): Buffer {
  const data = readBlob(directory, layer);
  return layer.mediaType.endsWith('+gzip') ? gunzipSync(data) : data;
}

/** Reads the image `tag` of an OCI image layout; recomputes every digest and size in it. */
export function readImage(directory: string, tag: string): Image {
  assert.deepEqual(JSON.parse(readFileSync(join(directory, 'oci-layout'), 'utf8')), {
    imageLayoutVersion: '1.0.0',
  });
  const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
    manifests: Descriptor[];
  };
  const found = index.manifests.filter(
    (entry) => entry.annotations?.['org.opencontainers.image.ref.name'] === tag,
  );
  assert.equal(found.length, 1, `entries of tag ${tag} in index.json`);
  const [entry] = found as [Descriptor];
  const manifest = JSON.parse(readBlob(directory, entry).toString()) as Manifest;
  const config = JSON.parse(readBlob(directory, manifest.config).toString()) as Config;
  const image = {
    reference: `oci:${directory}:${tag}`,
    directory,
    manifestDigest: entry.digest,
    manifest,
    config,
  };

  const { diff_ids } = config.rootfs;
  assert.deepEqual(
    manifest.layers.map((layer) => sha256(readLayer(image, layer))),
    diff_ids,
    'diff_ids',
  );
  assert.equal(config.history.length, diff_ids.length, 'history entries, one a layer');
  assert.ok(!config.history.some(({ empty_layer }) => empty_layer));
  const final = config.config.Labels['ostree.final-diffid'];
  assert.equal(
    diff_ids.indexOf(final ?? ''),
    diff_ids.length - 1,
    'ostree.final-diffid is only that of the last layer',
  );
  return image;
}

export interface Build {
  readonly image: Image;
  readonly result: Result;
}

interface EncapsulateOptions extends RunOptions {
  readonly tag?: string;
  /** Whether the image is also checked by `ostrata verify`, as it is by default. */
  readonly isVerified?: boolean;
}

/** The manifests of the images that `ostrata verify` has accepted in this process. */
const verified = new Set<string>();

/** Runs `ostrata verify`, but once for images that are the same. */
function verify({ reference, manifestDigest }: Image): void {
  if (!verified.has(manifestDigest)) {
    ostrata(['verify', '--quiet', reference]);
    verified.add(manifestDigest);
  }
}

/**
 * Runs `container-encapsulate` of `ref` into the OCI image layout `directory`, which must succeed.
 * The image is then checked by {@link verify} and by {@link readImage}, and the printed result
 * against both.
 */
export function encapsulate(
  repo: string,
  ref: string,
  directory: string,
  args: readonly string[] = [],
  { tag = 'latest', isVerified = true, ...options }: EncapsulateOptions = {},
): Build {
  const target = `oci:${directory}:${tag}`;
  const output = ostrata(
    ['container-encapsulate', `--repo=${repo}`, '--json', ...args, ref, target],
    options,
  );
  const result = JSON.parse(Buffer.from(output, 'latin1').toString()) as Result;
  const image = readImage(directory, tag);
  if (isVerified) {
    verify(image);
  }
  assert.equal(result.manifestDigest, image.manifestDigest);
  assert.equal(result.configDigest, image.manifest.config.digest);
  assert.equal(result.commit, image.config.config.Labels['ostree.commit']);
  assert.deepEqual(
    result.layers.map(({ digest, size, diffId }) => ({ digest, size, diffId })),
    image.manifest.layers.map(({ digest, size }, i) => ({
      digest,
      size,
      diffId: image.config.rootfs.diff_ids[i],
    })),
  );
  return { image, result };
}

/** Removes the architecture from the ids of components that are packages. */
export const namesOf = (components: readonly string[]) =>
  components.map((id) => id.replace(/\.(x86_64|i686|noarch)$/, ''));

/** Unpacks a layer; tar exits with 0 after some warnings, which here are errors. */
const UNPACK_LAYER = `
  warnings=$(tar -x -p --numeric-owner --xattrs --xattrs-include="*" -C "$1" -f "$2" 2>&1) &&
    [ -z "$warnings" ] ||
    { echo "$warnings" >&2; exit 1; }
`;

/** Unpacks all layers in order with GNU tar, which must not print a warning. Needs root. */
export function unpack(image: Image, into: string): void {
  for (const { digest } of image.manifest.layers) {
    run('sh', ['-c', UNPACK_LAYER, 'sh', into, blobPath(image.directory, digest)]);
  }
}

/** Asserts that a failed build left nothing at its destination. */
export function assertNothingLeft(path: string): void {
  assert.ok(!existsSync(path), `${path} was left behind`);
}
