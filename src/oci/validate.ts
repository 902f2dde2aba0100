/**
 * Validates an image: recomputes every digest, size and diff_id that it states, and checks that its
 * parts agree.
 */
import { createHash } from 'node:crypto';
import { type Duplex, Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ByteStream } from '../bytes/stream.js';
import { inContextAsync, messageOf, OstrataError } from '../errors.js';
import { checkAllDecompressed, layerDecompressor } from './decompress.js';
import type { ImageReader } from './image.js';
import { sha256Digest } from './json.js';
import { LayerTar } from './layer-tar.js';
import { standardOf } from './media-types.js';
import { type ImageConfig, type Manifest, parseConfig } from './types.js';

/**
 * Without the content of files, whose sizes the headers state, the tar of a layer may have this
 * size plus MAX_EXPANSION times what was read of the blob. Headers shrink to a tenth or a
 * twentieth; a blob that expands a thousandfold is meant to fill the memory.
 */
const MIN_EXPANSION_LIMIT = 128 << 20;
const MAX_EXPANSION = 200;

/** Receives the index of a layer and its uncompressed tar, which it must read to the end. */
export type LayerVisitor = (layer: number, tar: LayerTar) => Promise<void>;

/**
 * Reads the whole image once. Throws `CORRUPT` for the first rule that it breaks, naming the layer,
 * the stated and the computed value.
 */
export async function validateImage(
  image: ImageReader,
  visit: LayerVisitor = drain,
): Promise<ImageConfig> {
  const config = await validateConfig(image);
  for (const [i, descriptor] of image.manifest.layers.entries()) {
    await inContextAsync(`layer ${i} (${descriptor.digest})`, async () => {
      const blob = image.blob(descriptor);
      const { diffId } = await validateBlob(blob, descriptor, (tar) => visit(i, tar));
      expect('diff_id', diffId, config.rootfs.diff_ids[i]);
    });
  }
  return config;
}

/** Validates everything except the layers. */
async function validateConfig(image: ImageReader): Promise<ImageConfig> {
  const { manifest } = image;
  expect('manifest digest', sha256Digest(image.manifestBytes), image.manifestDigest);
  checkMediaTypes(manifest);

  const bytes = await image.config();
  expect('config size', bytes.length, manifest.config.size);
  expect('config digest', sha256Digest(bytes), manifest.config.digest);

  const config = parseConfig(bytes);
  expect('number of diff_ids', config.rootfs.diff_ids.length, manifest.layers.length);
  if (config.history) {
    const layerEntries = config.history.filter((entry) => entry.empty_layer !== true);
    expect('number of history entries', layerEntries.length, manifest.layers.length);
  }
  return config;
}

/**
 * Throws `CORRUPT` for a mixture of the media types of OCI and Docker, which other programs refuse
 * to read.
 */
function checkMediaTypes({ mediaType, config, layers }: Manifest): void {
  const whole = mediaType ?? config.mediaType;
  const standard = standardOf(whole);
  const layerParts = layers.map((layer, i) => [`layer ${i}`, layer.mediaType] as const);
  for (const [part, partType] of [['config', config.mediaType] as const, ...layerParts]) {
    if (standardOf(partType) !== standard) {
      throw new OstrataError(
        'CORRUPT',
        `media types of OCI and Docker are mixed: ${whole} with ${partType} (${part})`,
      );
    }
  }
}

/**
 * What is known about the blob of a layer before it is read: its descriptor in an image. A tar that
 * comes by itself has no digest, and one that comes through a pipe has no size either.
 */
export interface StatedBlob {
  readonly mediaType: string;
  readonly digest?: string | undefined;
  readonly size?: number | undefined;
}

/** What {@link validateBlob} found out about a layer. */
export interface ValidatedBlob<T> {
  /** Digest of the uncompressed tar. */
  readonly diffId: string;
  /** What the visitor of the tar returned. */
  readonly visited: T;
}

/**
 * Reads a layer blob to its end while `visit` reads its tar, and checks size and digest. Throws
 * `CORRUPT` if they differ from what is stated, and `LIMIT` if the blob expands to far more than
 * the sizes that its tar states.
 * @param decompressor what the blob is piped through to get its tar; by default what its media type
 *   says
 */
export async function validateBlob<T>(
  stream: ByteStream,
  { mediaType, digest, size }: StatedBlob,
  visit: (tar: LayerTar) => Promise<T>,
  decompressor: readonly Duplex[] = layerDecompressor(mediaType),
): Promise<ValidatedBlob<T>> {
  const blob = new HashingTransform(size);
  const isCompressed = decompressor.length > 0;
  const tar = isCompressed ? new HashingTransform() : blob;
  const layerTar = new LayerTar(tar, MIN_EXPANSION_LIMIT);
  const onRead = (length: number) => layerTar.allowExpansion(length * MAX_EXPANSION);

  const source = Readable.from(copied(stream, onRead), { objectMode: false });
  const flow = pipeline(isCompressed ? [source, blob, ...decompressor, tar] : [source, blob]);
  const visiting = visit(layerTar).catch((error) => {
    tar.destroy(); // otherwise the pipeline would wait for its reader
    throw error;
  });
  const [pipelineOutcome, visitOutcome] = await Promise.allSettled([flow, visiting]);
  if (pipelineOutcome.status === 'rejected' || visitOutcome.status === 'rejected') {
    throw firstCause([visitOutcome, pipelineOutcome]);
  }

  const computed = blob.digest();
  expect('size', blob.length, size ?? blob.length);
  expect('digest', computed, digest ?? computed);
  checkAllDecompressed(decompressor, blob.length);
  const diffId = isCompressed ? tar.digest() : computed;
  return { diffId, visited: visitOutcome.value };
}

/**
 * Returns the error to report when the visitor or the pipeline has failed. A failure of one ends
 * the other too. An OstrataError is the original failure; otherwise the visitor has the original
 * one, or the same as the pipeline.
 */
function firstCause(outcomes: readonly PromiseSettledResult<unknown>[]): OstrataError {
  const errors = outcomes.flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason] : [],
  );
  const cause = errors.find((error) => error instanceof OstrataError);
  if (cause !== undefined) {
    return cause;
  }
  const [error] = errors;
  return new OstrataError('CORRUPT', messageOf(error), { cause: error });
}

/** Passes bytes on, counts them and computes their digest. */
class HashingTransform extends Transform {
  readonly #hash = createHash('sha256');
  readonly #statedSize: number;
  length = 0;

  /** @param statedSize the number of bytes above which the stream fails */
  constructor(statedSize = Number.POSITIVE_INFINITY) {
    super();
    this.#statedSize = statedSize;
  }

  override _transform(chunk: Uint8Array, _encoding: string, done: TransformCallback): void {
    this.#hash.update(chunk);
    this.length += chunk.length;
    if (this.length <= this.#statedSize) {
      done(null, chunk);
    } else {
      const rule = `has more than the ${this.#statedSize} bytes that are stated`;
      done(new OstrataError('LIMIT', rule));
    }
  }

  digest(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}

/**
 * Copies the chunks of a stream, which may share one buffer: streams of Node keep what they get.
 * @param onRead called with the size of each chunk before it is passed on
 */
async function* copied(
  stream: ByteStream,
  onRead: (length: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    onRead(chunk.length);
    yield Buffer.from(chunk);
  }
}

async function drain(_layer: number, tar: LayerTar): Promise<void> {
  for await (const _ of tar) {
  }
}

function expect<T extends string | number>(what: string, computed: T, stated?: T): void {
  if (computed !== stated) {
    throw new OstrataError('CORRUPT', `${what}: stated ${stated}, computed ${computed}`);
  }
}
