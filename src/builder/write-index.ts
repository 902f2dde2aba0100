/**
 * An index of images for several platforms, which are built one after the other and become visible
 * together: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { OstrataError } from '../errors.js';
import { canonicalJson, sha256Digest } from '../oci/json.js';
import { OCI_INDEX, OCI_MANIFEST } from '../oci/media-types.js';
import type { Platform } from '../oci/types.js';
import type { FinishedImage, ImageWriter } from '../transports/transport.js';
import type { Labels } from './image-config.js';

/** Collects images, and commits them as one index. */
export class IndexWriter {
  readonly #writer: ImageWriter;
  readonly #images: FinishedImage[] = [];

  /**
   * Takes over `writer`. Throws `UNSUPPORTED` if its destination can hold no index.
   */
  constructor(writer: ImageWriter) {
    if (writer.commitIndex === undefined) {
      throw new OstrataError('UNSUPPORTED', 'the destination cannot hold an index');
    }
    this.#writer = writer;
  }

  /**
   * Returns the writer of the next image, which is for `platform`. Its `commit` ends the image but
   * does not make it visible; its `discard` discards the whole index.
   */
  nextImage(platform: Platform): ImageWriter {
    const writer = this.#writer;
    const directory = `image-${this.#images.length}`;
    const stagingDirectory = join(writer.stagingDirectory, directory);
    mkdirSync(stagingDirectory);
    return {
      stagingDirectory,
      addBlob: (...blob) => writer.addBlob(...blob),
      mountBlob: (...blob) => writer.mountBlob(...blob),
      adoptBlob: async (...blob) => (await writer.adoptBlob?.(...blob)) === true,
      commit: async (image) => {
        this.#images.push({ ...image, platform });
      },
      discard: () => writer.discard(),
    };
  }

  /** Makes all images visible. Returns the digest of the index. */
  async commit(annotations: Labels): Promise<string> {
    const hasAnnotations = Object.keys(annotations).length > 0;
    const index = canonicalJson({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: this.#images.map(({ manifest, platform }) => ({
        mediaType: OCI_MANIFEST,
        digest: sha256Digest(manifest),
        size: manifest.length,
        platform,
      })),
      annotations: hasAnnotations ? annotations : undefined,
    });
    await this.#writer.commitIndex?.({ images: this.#images, index });
    return sha256Digest(index);
  }

  /** Removes everything that was not committed. */
  async discard(): Promise<void> {
    await this.#writer.discard();
  }
}
