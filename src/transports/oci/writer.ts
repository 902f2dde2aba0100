/**
 * Writes an image into an OCI image layout in a directory. Blobs are staged in a private directory
 * within the layout and published by rename when the image is committed, the index last.
 */
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { link, mkdir, mkdtemp, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import type { ByteStream } from '../../bytes/stream.js';
import { errnoOf, inContextAsync, OstrataError } from '../../errors.js';
import { REF_NAME } from '../../oci/annotations.js';
import {
  BLOBS_DIRECTORY,
  blobPath,
  INDEX_FILE,
  LAYOUT_FILE,
  LAYOUT_FILE_CONTENT,
} from '../../oci/image-layout.js';
import { canonicalJson, sha256Digest } from '../../oci/json.js';
import { OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.js';
import { type Descriptor, parseIndex, parseManifest } from '../../oci/types.js';
import { readChunks } from '../../system/file-chunks.js';
import { FileLock } from '../../system/file-lock.js';
import { writeFully } from '../../system/write-fully.js';
import type { FinishedImage, ImageReader, ImageWriter } from '../transport.js';
import { verified, verifyBlob } from '../verified.js';

const STAGING_PREFIX = '.ostrata-';

/** index.json as it is rewritten: members that this version does not know are kept. */
const extensibleIndex = v.looseObject({
  manifests: v.array(v.looseObject({ annotations: v.optional(v.record(v.string(), v.string())) })),
});

/**
 * Prepares to write an image into the layout at `directory`, which is created if it does not exist.
 * Images with other tags stay as they are. Throws `UNSUPPORTED` if the directory holds anything
 * else.
 */
export async function createOciWriter(
  directory: string,
  tag: string | undefined,
): Promise<ImageWriter> {
  const writer = new OciWriter(resolve(directory), tag);
  try {
    await inContextAsync(`preparing ${directory}`, () => writer.prepare());
  } catch (error) {
    await writer.discard();
    throw error;
  }
  return writer;
}

class OciWriter implements ImageWriter {
  stagingDirectory = '';
  readonly #directory: string;
  readonly #tag: string | undefined;
  /** Staged files by the digest of the blob they contain. */
  readonly #staged = new Map<string, string>();
  /** Directories created here, outermost first; removed unless the image is committed. */
  readonly #createdDirectories: string[] = [];
  /** Files published here; removed unless the image is committed. */
  readonly #publishedFiles: string[] = [];

  constructor(directory: string, tag: string | undefined) {
    this.#directory = directory;
    this.#tag = tag;
  }

  async prepare(): Promise<void> {
    const names = existsSync(this.#directory) ? await readdir(this.#directory) : [];
    // Staging directories alone mean that another process is about to create the layout.
    const others = names.filter((name) => !name.startsWith(STAGING_PREFIX));
    if (others.length > 0 && !others.includes(LAYOUT_FILE) && !others.includes(INDEX_FILE)) {
      throw new OstrataError(
        'UNSUPPORTED',
        'the directory is not empty and is not an OCI image layout',
      );
    }
    if (others.includes(INDEX_FILE)) {
      // A damaged index is reported now, not after hours of work.
      parseIndex(readFileSync(this.#path(INDEX_FILE)));
    }

    await this.#createDirectory(this.#directory);
    this.stagingDirectory = await mkdtemp(this.#path(STAGING_PREFIX));
  }

  async addBlob(file: string, { digest }: Descriptor): Promise<void> {
    this.#staged.set(digest, file);
  }

  async mountBlob(descriptor: Descriptor, from: ImageReader): Promise<void> {
    if (this.#staged.has(descriptor.digest) || (await this.#hasIntact(descriptor))) {
      return;
    }
    const target = join(this.stagingDirectory, descriptor.digest.replace(':', '-'));
    await inContextAsync(`taking over blob ${descriptor.digest} of ${from.name}`, () =>
      linkOrCopy(descriptor, from, target),
    );
    this.#staged.set(descriptor.digest, target);
  }

  async commit(image: FinishedImage): Promise<void> {
    await inContextAsync(`writing ${this.#directory}`, async () => {
      await this.#publishLayoutFile();
      await this.#createDirectory(this.#path(BLOBS_DIRECTORY));
      await this.#stage('config', image.config);
      await this.#stage('manifest', image.manifest);
      for (const [digest, file] of this.#staged) {
        await this.#publish(blobPath(digest), file);
      }
      // Last, because the index makes the image visible.
      await this.#publishIndex(describeManifest(image));
    });

    this.#publishedFiles.length = 0;
    this.#createdDirectories.length = 0;
    await this.discard();
  }

  async discard(): Promise<void> {
    if (this.stagingDirectory !== '') {
      await rm(this.stagingDirectory, { recursive: true, force: true });
    }
    for (const file of this.#publishedFiles.splice(0)) {
      await rm(file, { force: true });
    }
    // rmdir refuses directories in which other processes have created files meanwhile.
    for (const directory of this.#createdDirectories.splice(0).reverse()) {
      await rmdir(directory).catch(() => {});
    }
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  /** Whether the layout already contains the blob. One with other bytes is replaced. */
  async #hasIntact(descriptor: Descriptor): Promise<boolean> {
    const path = this.#path(blobPath(descriptor.digest));
    if (statSync(path, { throwIfNoEntry: false })?.size !== descriptor.size) {
      return false;
    }
    try {
      await verifyBlob(readChunks(path, { followSymlink: true }), descriptor);
      return true;
    } catch (error) {
      if (error instanceof OstrataError && error.code === 'CORRUPT') {
        return false;
      }
      throw error;
    }
  }

  /** Creates a directory and its missing parents. */
  async #createDirectory(path: string): Promise<void> {
    try {
      await mkdir(path, { mode: 0o755 });
      this.#createdDirectories.push(path);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EEXIST') {
        return;
      }
      if (errno !== 'ENOENT') {
        throw error;
      }
      await this.#createDirectory(dirname(path));
      await this.#createDirectory(path);
    }
  }

  async #stage(name: string, bytes: Uint8Array): Promise<void> {
    const file = join(this.stagingDirectory, name);
    await writeFile(file, bytes);
    this.#staged.set(sha256Digest(bytes), file);
  }

  async #publish(name: string, file: string): Promise<void> {
    const path = this.#path(name);
    const isNew = !existsSync(path);
    await rename(file, path);
    if (isNew) {
      this.#publishedFiles.push(path);
    }
  }

  /** Creates the file `oci-layout`. It is never replaced, since writers of the index lock it. */
  async #publishLayoutFile(): Promise<void> {
    const path = this.#path(LAYOUT_FILE);
    try {
      await writeFile(path, LAYOUT_FILE_CONTENT, { flag: 'wx' });
      this.#publishedFiles.push(path);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') {
        throw error;
      }
    }
  }

  /** Adds the image to the index. The lock makes other processes that do the same wait. */
  async #publishIndex(descriptor: Descriptor): Promise<void> {
    const lock = await FileLock.acquire(this.#path(LAYOUT_FILE), 'exclusive');
    try {
      const file = join(this.stagingDirectory, INDEX_FILE);
      await writeFile(file, this.#newIndex(descriptor));
      await this.#publish(INDEX_FILE, file);
    } finally {
      lock.release();
    }
  }

  /** Returns the index with this image instead of the one that had the same tag. */
  #newIndex(descriptor: Descriptor): Uint8Array {
    const path = this.#path(INDEX_FILE);
    const previous = existsSync(path)
      ? parseJson(readFileSync(path, 'utf8'), extensibleIndex)
      : { manifests: [] };
    const others = previous.manifests.filter(
      ({ annotations }) => annotations?.[REF_NAME] !== this.#tag,
    );
    const annotations = this.#tag === undefined ? undefined : { [REF_NAME]: this.#tag };

    return canonicalJson({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      ...previous,
      manifests: [...others, { ...descriptor, annotations }],
    });
  }
}

function describeManifest({ manifest, platform }: FinishedImage): Descriptor {
  const { mediaType = OCI_MANIFEST } = parseManifest(manifest);
  return { mediaType, digest: sha256Digest(manifest), size: manifest.length, platform };
}

/**
 * Puts a blob of another image at `target`, as a hard link if the file systems allow one. Throws
 * `CORRUPT`, and leaves nothing at `target`, if the blob is not what its descriptor says.
 */
async function linkOrCopy(
  descriptor: Descriptor,
  from: ImageReader,
  target: string,
): Promise<void> {
  try {
    const file = from.blobFile(descriptor);
    if (file !== undefined && (await tryLink(file, target))) {
      await verifyBlob(readChunks(target), descriptor);
      return;
    }
    const blob = from.blob(descriptor);
    await copy(from.isVerifying ? blob : verified(blob, descriptor), target);
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  }
}

async function tryLink(file: string, target: string): Promise<boolean> {
  try {
    await link(file, target);
    return true;
  } catch {
    return false;
  }
}

async function copy(stream: ByteStream, target: string): Promise<void> {
  const fd = openSync(target, 'wx', 0o644);
  try {
    for await (const chunk of stream) {
      writeFully(fd, chunk);
    }
  } finally {
    closeSync(fd);
  }
}
