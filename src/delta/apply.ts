/** Applies a delta: rebuilds the target image from the files of the source image. */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import * as v from 'valibot';
import { type Compression, createCompressor, STANDARD_LEVELS } from '../blobs/compress.js';
import { BlobWriter } from '../blobs/writer.js';
import { parseJson } from '../bytes/json.js';
import type { ByteStream } from '../bytes/stream.js';
import { inContextAsync, must, OstrataError } from '../errors.js';
import { type Context, startWork } from '../log.js';
import { ZSTD_CHUNKED_PREFIXES } from '../oci/annotations.js';
import type { ImageReader } from '../oci/image.js';
import { canonicalJson, sha256Digest } from '../oci/json.js';
import { layerCompression } from '../oci/media-types.js';
import { type Descriptor, parseConfig } from '../oci/types.js';
import { validateBlob } from '../oci/validate.js';
import { applyTarDiff, type OldFiles } from '../tar-diff/apply.js';
import type { ImageWriter } from '../transports/transport.js';
import { type Delta, TAR_DIFF, type TargetLayer, verifiedBlob } from './artifact.js';
import { type OldTree, TreeFiles } from './old-files.js';

/** What the client has. */
export interface DeltaSource {
  /** The merged root file system of the source image. */
  readonly tree: OldTree;
  /** The source image itself, whose layers can be taken over; undefined if there is none. */
  readonly image: ImageReader | undefined;
}

export interface ApplyDeltaOptions extends Context {
  /** The parent of a temporary file; see {@link TreeFiles}. */
  readonly spool: string;
}

export interface AppliedDelta {
  readonly manifestDigest: string;
  /** Whether the manifest is that of the target image, byte for byte. */
  readonly isTarget: boolean;
  /** Number of layers that were rebuilt by a tar-diff. */
  readonly rebuilt: number;
  /** Number of layers that were taken from the delta as they are. */
  readonly copied: number;
  /** Number of layers that were taken from the source image. */
  readonly reused: number;
  /** Number of layers that are missing since the source has no blobs. */
  readonly omitted: number;
}

/**
 * Rebuilds the target image into `writer` and commits it, if every layer has the diffId that the
 * target's config states. Layers are compressed as those of the target are; where that gives other
 * bytes, the manifest states their digests instead.
 *
 * Throws what {@link applyTarDiff} throws, and `CORRUPT` for a layer with another diffId.
 * @param image the delta, opened with its artifact type
 */
export async function applyDelta(
  image: ImageReader,
  delta: Delta,
  source: DeltaSource,
  writer: ImageWriter,
  options: ApplyDeltaOptions,
): Promise<AppliedDelta> {
  const files = new TreeFiles(source.tree, options.spool);
  const rebuilder = new Rebuilder({ image, source, files, writer, options });
  try {
    const { target, layers } = delta;
    const rebuilt: Descriptor[] = [];
    const total = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    const work = startWork(options.log, 'rebuilding layers', total);
    for (const layer of layers) {
      const { index } = layer;
      const part = work.startPart(`${index}`, `layer ${index}`, layer.descriptor.size);
      const descriptor = await inContextAsync(`rebuilding layer ${index}`, () =>
        rebuilder.layer(layer),
      );
      rebuilt.push(descriptor);
      part.end();
    }
    work.end();
    const manifest = manifestOf(target.manifestBytes, layers, rebuilt);
    const { architecture, os } = target.config;
    await writer.commit({ config: target.configBytes, manifest, platform: { architecture, os } });
    const manifestDigest = sha256Digest(manifest);
    const isTarget = manifestDigest === target.manifestDigest;
    return { manifestDigest, isTarget, ...rebuilder.counts };
  } finally {
    files.close();
  }
}

interface RebuilderOptions {
  readonly image: ImageReader;
  readonly source: DeltaSource;
  readonly files: OldFiles;
  readonly writer: ImageWriter;
  readonly options: ApplyDeltaOptions;
}

/** Provides the layers of the target image. */
class Rebuilder {
  readonly counts = { rebuilt: 0, copied: 0, reused: 0, omitted: 0 };
  readonly #options: RebuilderOptions;
  #known: ReadonlyMap<string, Descriptor> | undefined;

  constructor(options: RebuilderOptions) {
    this.#options = options;
  }

  /** Writes a layer, and returns its descriptor. */
  async layer(layer: TargetLayer): Promise<Descriptor> {
    const { blob } = layer;
    if (blob === undefined) {
      return this.#reuse(layer);
    }
    return blob.mediaType === TAR_DIFF ? this.#rebuild(layer, blob) : this.#copy(layer);
  }

  async #rebuild(layer: TargetLayer, blob: Descriptor): Promise<Descriptor> {
    const { index, descriptor, diffId } = layer;
    const { image, writer } = this.#options;
    const file = join(writer.stagingDirectory, `layer-${index}`);
    const blobWriter = new BlobWriter(file, await createCompressor(compressionOf(descriptor)));
    try {
      await this.#writeTar(verifiedBlob(image, blob), blobWriter);
    } catch (error) {
      blobWriter.close();
      throw error;
    }
    const written = blobWriter.finish();
    checkDiffId(diffId, written.diffId);
    const { digest, size } = written;
    const rebuilt = { ...descriptor, digest, size };
    await writer.addBlob(file, rebuilt);
    this.counts.rebuilt++;
    return rebuilt;
  }

  async #writeTar(tarDiff: ByteStream, blobWriter: BlobWriter): Promise<void> {
    const { files, options } = this.#options;
    for await (const chunk of applyTarDiff(tarDiff, files)) {
      blobWriter.write(chunk);
      options.signal?.throwIfAborted();
      // Files are read synchronously; in between, signals are handled.
      await setImmediate();
    }
  }

  /** Takes over a layer that the delta has as it is. */
  async #copy({ descriptor, diffId }: TargetLayer): Promise<Descriptor> {
    const { image, writer } = this.#options;
    const validated = await validateBlob(verifiedBlob(image, descriptor), descriptor, drain);
    checkDiffId(diffId, validated.diffId);
    await writer.mountBlob(descriptor, image);
    this.counts.copied++;
    return descriptor;
  }

  async #reuse({ descriptor, diffId }: TargetLayer): Promise<Descriptor> {
    const { image } = this.#options.source;
    if (image === undefined) {
      this.counts.omitted++;
      return descriptor;
    }
    this.#known ??= await layersByDiffId(image);
    const known = this.#known.get(diffId);
    if (known === undefined) {
      throw new OstrataError('CORRUPT', `${image.name} has no layer ${diffId}`);
    }
    await this.#options.writer.mountBlob(known, image);
    this.counts.reused++;
    const { mediaType, digest, size } = known;
    return { ...descriptor, mediaType, digest, size };
  }
}

async function layersByDiffId(image: ImageReader): Promise<ReadonlyMap<string, Descriptor>> {
  const { rootfs } = parseConfig(await image.config());
  const { layers } = image.manifest;
  return new Map(
    rootfs.diff_ids.map((diffId, index) => [diffId, must(layers[index], `layer ${index}`)]),
  );
}

async function drain(tar: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of tar) {
  }
}

function checkDiffId(expected: string, computed: string): void {
  if (computed !== expected) {
    throw new OstrataError('CORRUPT', `its tar has the diff_id ${computed}, expected ${expected}`);
  }
}

function compressionOf({ mediaType }: Descriptor): Compression {
  const name = layerCompression(mediaType) ?? 'gzip';
  return { name, level: STANDARD_LEVELS[name] };
}

/** A manifest as it is rewritten: members that this version does not know are kept. */
const extensibleManifest = v.looseObject({
  layers: v.array(v.looseObject({ annotations: v.optional(v.record(v.string(), v.string())) })),
});

/** Returns the manifest of the target, with other descriptors of layers where they differ. */
function manifestOf(
  target: Uint8Array,
  layers: readonly TargetLayer[],
  rebuilt: readonly Descriptor[],
): Uint8Array {
  const isSame = layers.every(
    ({ descriptor }, index) => descriptor.digest === rebuilt[index]?.digest,
  );
  if (isSame) {
    return target;
  }
  const manifest = parseJson(Buffer.from(target).toString(), extensibleManifest);
  const newLayers = manifest.layers.map((layer, index) => {
    const { mediaType, digest, size } = must(rebuilt[index], `layer ${index}`);
    const isOther = digest !== layers[index]?.descriptor.digest;
    const annotations = isOther ? withoutChunks(layer.annotations) : layer.annotations;
    return { ...layer, mediaType, digest, size, annotations };
  });
  return canonicalJson({ ...manifest, layers: newLayers });
}

/** Drops what annotations say about the bytes of a blob. */
function withoutChunks(annotations: Readonly<Record<string, string>> | undefined) {
  if (annotations === undefined) {
    return undefined;
  }
  const kept = Object.entries(annotations).filter(
    ([name]) => !ZSTD_CHUNKED_PREFIXES.some((prefix) => name.startsWith(prefix)),
  );
  return Object.fromEntries(kept);
}
