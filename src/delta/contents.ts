/**
 * What a delta holds of each layer and of each file of the new image. Only the delta itself is
 * read: what it takes from the old image counts, and is not looked at.
 */
import type { ByteStream } from '../bytes/stream.js';
import { inContextAsync, OstrataError } from '../errors.js';
import type { ImageReader } from '../oci/image.js';
import type { Descriptor } from '../oci/types.js';
import { TarReader } from '../tar/reader.js';
import { MAX_TAR_SIZE, tarDiffOperations } from '../tar-diff/apply.js';
import type { Operation } from '../tar-diff/operations.js';
import { type Delta, TAR_DIFF, type TargetLayer, verifiedBlob } from './artifact.js';

/** A layer that a delta holds. */
export interface HeldLayer extends TargetLayer {
  readonly blob: Descriptor;
}

/** A file of a layer that is rebuilt by a tar-diff. */
export interface DeltaFile {
  /** Its name in the tar or, for an ostree object, that of a hard link to it. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Bytes of the delta that give its content. What the delta holds as data is compressed as one
   * stream, and is shared out by its size.
   */
  readonly deltaSize: number;
}

interface CountedFile {
  path: string;
  readonly size: number;
  /** Bytes of content that are still to come. */
  left: number;
  /** Bytes of content in the stream of the tar-diff, not compressed. */
  data: number;
  /** Bytes of frames that are rebuilt from files of the old image. */
  frames: number;
}

const ZEROS = new Uint8Array(64 << 10);

/** Returns the layers that a delta holds, each once: an image may have a layer several times. */
export function heldLayers({ layers }: Delta): readonly HeldLayer[] {
  const held = new Map<string, HeldLayer>();
  for (const layer of layers) {
    const { blob } = layer;
    const { digest } = layer.descriptor;
    if (blob !== undefined && !held.has(digest)) {
      held.set(digest, { ...layer, blob });
    }
  }
  return [...held.values()];
}

/**
 * Returns the files of all layers that a delta rebuilds; those of layers that it has as they are
 * are left out. Throws `CORRUPT` if a tar-diff does not make a tar, and `LIMIT` if it is too large.
 * @param image the delta
 */
export async function readDeltaFiles(
  image: ImageReader,
  delta: Delta,
): Promise<readonly DeltaFile[]> {
  const files: DeltaFile[] = [];
  for (const { blob, index } of heldLayers(delta)) {
    if (blob.mediaType === TAR_DIFF) {
      const counter = await inContextAsync(`reading layer ${index} of ${image.name}`, () =>
        countContent(verifiedBlob(image, blob)),
      );
      for (const file of counter.files(blob.size)) {
        files.push(file);
      }
    }
  }
  return files;
}

async function countContent(tarDiff: ByteStream): Promise<ContentCounter> {
  const counter = new ContentCounter();
  for await (const operation of tarDiffOperations(tarDiff)) {
    await counter.add(operation);
  }
  return counter;
}

/** Follows the tar that a tar-diff makes, with zeros in the place of what it takes over. */
class ContentCounter {
  readonly #files: CountedFile[] = [];
  readonly #byName = new Map<string, CountedFile>();
  #current: CountedFile | undefined;
  /** Whether the bytes that the reader gets now are in the tar-diff. */
  #isData = false;
  /** Bytes that were taken from the old image. */
  #skipped = 0;
  readonly #reader = new TarReader({
    entry: ({ name, type, storedSize, linkname }) => {
      if (type === 'file') {
        this.#begin(name, storedSize);
      }
      const target = type === 'link' ? this.#byName.get(linkname) : undefined;
      if (target !== undefined) {
        target.path = name;
      }
    },
    content: (bytes) => this.#count(bytes.length),
    entryEnd: () => {},
  });

  async add(operation: Operation): Promise<void> {
    switch (operation.type) {
      case 'data':
        await this.#addData(operation.content);
        return;
      case 'copy':
        this.#skip(operation.size);
        return;
      case 'add-data':
        await this.#addDifferences(operation.content);
        return;
      case 'zstd-dict':
        await this.#addFrame(operation.content, operation.size);
    }
  }

  /** @param blobSize bytes of the tar-diff */
  files(blobSize: number): readonly DeltaFile[] {
    let frames = 0;
    let data = 0;
    for (const file of this.#files) {
      frames += file.frames;
      data += file.data;
    }
    const ratio = data === 0 ? 0 : Math.max(blobSize - frames, 0) / data;
    return this.#files.map((file) => ({
      path: file.path.replace(/^(\.?\/)+/, ''),
      size: file.size,
      deltaSize: Math.round(file.frames + file.data * ratio),
    }));
  }

  #begin(name: string, size: number): void {
    const file = { path: name, size, left: size, data: 0, frames: 0 };
    this.#current = file;
    this.#files.push(file);
    this.#byName.set(name, file);
  }

  #count(length: number): void {
    const file = this.#current;
    if (file !== undefined) {
      file.left -= length;
      file.data += this.#isData ? length : 0;
    }
  }

  async #addData(content: AsyncIterable<Uint8Array>): Promise<void> {
    this.#isData = true;
    for await (const chunk of content) {
      this.#reader.push(chunk);
    }
    this.#isData = false;
  }

  async #addDifferences(content: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of content) {
      const changed = chunk.reduce((count, byte) => count + (byte === 0 ? 0 : 1), 0);
      this.#skip(chunk.length);
      this.#open().data += changed;
    }
  }

  /** A frame gives the rest of a file: no producer makes several frames of one. */
  async #addFrame(content: AsyncIterable<Uint8Array>, size: number): Promise<void> {
    for await (const _ of content) {
    }
    const file = this.#open();
    file.frames += size;
    this.#skip(file.left);
  }

  #skip(size: number): void {
    this.#skipped += size;
    if (this.#skipped > MAX_TAR_SIZE) {
      throw new OstrataError('LIMIT', `makes a tar of more than ${MAX_TAR_SIZE} bytes`);
    }
    for (let left = size; left > 0; left -= ZEROS.length) {
      this.#reader.push(ZEROS.subarray(0, left));
    }
  }

  #open(): CountedFile {
    if (this.#current === undefined) {
      throw new OstrataError('CORRUPT', 'the tar-diff rebuilds content before the first file');
    }
    return this.#current;
  }
}
