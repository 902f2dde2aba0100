/** Recomputes what an OCI image says of itself: every digest, size and diff_id, and that its parts agree. */
import { createHash } from 'node:crypto';
import { Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ByteStream } from '../bytes/stream.js';
import { inContextAsync, OstrataError } from '../errors.js';
import { layerDecompressor } from './decompress.js';
import type { ImageReader } from './image.js';
import { sha256Digest } from './json.js';
import { type Descriptor, type ImageConfig, parseConfig } from './types.js';

/** Looks at a layer's uncompressed tar while it passes; must read it to its end. */
export type LayerVisitor = (layer: number, tar: AsyncIterable<Uint8Array>) => Promise<void>;

/** Reads the whole image once. Throws `CORRUPT` for the first rule it breaks, naming the layer and both values. */
export async function validateImage(image: ImageReader, visit: LayerVisitor = drain): Promise<ImageConfig> {
  expect('manifest digest', sha256Digest(image.manifestBytes), image.manifestDigest);
  const { manifest } = image;
  const bytes = await image.config();
  expect('config size', bytes.length, manifest.config.size);
  expect('config digest', sha256Digest(bytes), manifest.config.digest);
  const config = parseConfig(bytes);
  const history = (config.history ?? []).filter((entry) => entry.empty_layer !== true);
  expect('number of diff_ids', config.rootfs.diff_ids.length, manifest.layers.length);
  if (config.history) expect('number of history entries', history.length, manifest.layers.length);
  for (const [i, descriptor] of manifest.layers.entries())
    await inContextAsync(`layer ${i} (${descriptor.digest})`, async () => {
      const diffId = await validateBlob(image.blob(descriptor), descriptor, (tar) => visit(i, tar));
      expect('diff_id', diffId, config.rootfs.diff_ids[i] as string);
    });
  return config;
}

/** Returns the diff_id. */
async function validateBlob(
  stream: ByteStream,
  { mediaType, digest, size }: Descriptor,
  visit: (tar: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<string> {
  const blob = new HashingTransform();
  const tar = new HashingTransform();
  // Chunks of a ByteStream may share one buffer; streams keep what they are given.
  const source = Readable.from(copied(stream), { objectMode: false });
  const flow = pipeline([source, blob, ...layerDecompressor(mediaType), tar]);
  try {
    await Promise.all([flow, visit(tar)]);
  } catch (error) {
    source.destroy();
    await flow.catch(() => {});
    if (error instanceof OstrataError) throw error;
    throw new OstrataError('CORRUPT', (error as Error).message, { cause: error });
  }
  expect('size', blob.length, size);
  expect('digest', blob.digest(), digest);
  return tar.digest();
}

class HashingTransform extends Transform {
  readonly #hash = createHash('sha256');
  length = 0;

  override _transform(chunk: Uint8Array, _encoding: string, done: TransformCallback): void {
    this.#hash.update(chunk);
    this.length += chunk.length;
    done(null, chunk);
  }
  digest(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}

async function* copied(stream: ByteStream): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) yield Buffer.from(chunk);
}

async function drain(_layer: number, tar: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of tar);
}

function expect<T extends string | number>(what: string, computed: T, stated: T): void {
  if (computed !== stated) throw new OstrataError('CORRUPT', `${what}: stated ${stated}, computed ${computed}`);
}
