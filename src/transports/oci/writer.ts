/**
 * Writes an image into an OCI image layout in a directory.
 *
 * Blobs are staged in a private directory within the layout, also those that the layout has
 * already. They are published by rename when the image is committed, the index last. Writers do so
 * one after the other, by a lock on the file `oci-layout`. So a writer that fails can remove the
 * files that it has published: no other writer needs them, since each one publishes all its blobs.
 */
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { link, lstat, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ByteStream } from '../../bytes/stream.js';
import { inContextAsync, must, OstrataError } from '../../errors.js';
import {
  BLOBS_DIRECTORY,
  blobPath,
  INDEX_FILE,
  LAYOUT_FILE,
  LAYOUT_FILE_CONTENT,
} from '../../oci/image-layout.js';
import { sha256Digest } from '../../oci/json.js';
import { OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.js';
import { referrerDescriptor } from '../../oci/referrer.js';
import { type Descriptor, parseAnyManifest, parseIndex } from '../../oci/types.js';
import { readChunks } from '../../system/file-chunks.js';
import { FileLock } from '../../system/file-lock.js';
import { makeDirectories } from '../../system/make-directories.js';
import {
  makeTemporaryDirectory,
  type TemporaryDirectory,
} from '../../system/temporary-directory.js';
import { writeFully } from '../../system/write-fully.js';
import type { FinishedImage, FinishedIndex, ImageReader, ImageWriter } from '../transport.js';
import { verified, verifyBlob } from '../verified.js';
import { type EntryName, withEntry } from './layout-index.js';

const STAGING_PREFIX = '.ostrata-';

/** A layout can hold an index. */
export type LayoutWriter = Omit<Required<ImageWriter>, 'adoptBlob'>;

/**
 * Prepares to write an image into the layout at `directory`, which is created if it does not exist.
 * Images with other tags stay as they are. Throws `UNSUPPORTED` if the directory holds anything
 * else.
 */
export async function createOciWriter(
  directory: string,
  tag: string | undefined,
  { isUnnamed }: Pick<EntryName, 'isUnnamed'> = { isUnnamed: false },
): Promise<LayoutWriter> {
  const writer = new OciWriter(resolve(directory), { tag, isUnnamed });
  try {
    await inContextAsync(`preparing ${directory}`, () => writer.prepare());
  } catch (error) {
    await writer.discard();
    throw error;
  }
  return writer;
}

class OciWriter implements LayoutWriter {
  readonly #directory: string;
  readonly #name: EntryName;
  /** Staged files by the digest of the blob they contain. */
  readonly #staged = new Map<string, string>();
  #staging: TemporaryDirectory | undefined;
  /** Directories above the staging directory; removed unless the image is committed. */
  readonly #created = new Created();

  constructor(directory: string, name: EntryName) {
    this.#directory = directory;
    this.#name = name;
  }

  get stagingDirectory(): string {
    return must(this.#staging, 'the staging directory').path;
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

    this.#created.makeDirectory(this.#directory);
    this.#staging = makeTemporaryDirectory(STAGING_PREFIX, this.#directory);
  }

  async addBlob(file: string, { digest }: Descriptor): Promise<void> {
    this.#staged.set(digest, file);
  }

  async mountBlob(descriptor: Descriptor, from: ImageReader): Promise<void> {
    if (this.#staged.has(descriptor.digest)) {
      return;
    }
    const target = join(this.stagingDirectory, descriptor.digest.replace(':', '-'));
    if (!(await this.#stageOwn(descriptor, target))) {
      await inContextAsync(`taking over blob ${descriptor.digest} of ${from.name}`, () =>
        linkOrCopy(blobOf(from, descriptor), descriptor, target),
      );
    }
    this.#staged.set(descriptor.digest, target);
  }

  async commit(image: FinishedImage): Promise<void> {
    await this.#commit(async () => {
      await this.#stageImage(image, '');
      return this.#name.isUnnamed ? describeReferrer(image) : describeManifest(image);
    });
  }

  async commitIndex({ images, index }: FinishedIndex): Promise<void> {
    await this.#commit(async () => {
      for (const [i, image] of images.entries()) {
        await this.#stageImage(image, `-${i}`);
      }
      await this.#stage('index', index);
      return { mediaType: OCI_INDEX, digest: sha256Digest(index), size: index.length };
    });
  }

  /** @param stage stages what is still missing, and returns the entry of `index.json` */
  async #commit(stage: () => Promise<Descriptor>): Promise<void> {
    await inContextAsync(`writing ${this.#directory}`, async () => {
      const descriptor = await stage();
      const lock = await this.#lock();
      const published = new Created();
      try {
        await this.#publish(descriptor, published);
      } catch (error) {
        if (lock.isEffective) {
          await published.remove();
        }
        throw error;
      } finally {
        lock.release();
      }
    });

    this.#created.forget();
    await this.discard();
  }

  async discard(): Promise<void> {
    this.#staging?.remove();
    await this.#created.remove();
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  /** Stages a blob of the layout. Returns false if it has none, or one with other bytes. */
  async #stageOwn(descriptor: Descriptor, target: string): Promise<boolean> {
    const path = this.#path(blobPath(descriptor.digest));
    try {
      const { size } = await stat(path);
      if (size !== descriptor.size) {
        return false;
      }
      // A hard link to a symlink would be a symlink.
      const file = (await lstat(path)).isFile() ? path : undefined;
      const stream = () => verified(readChunks(path, { followSymlink: true }), descriptor);
      await linkOrCopy({ file, stream }, descriptor, target);
      return true;
    } catch {
      return false; // It is taken from the other image.
    }
  }

  async #stageImage({ config, manifest }: FinishedImage, suffix: string): Promise<void> {
    await this.#stage(`config${suffix}`, config);
    await this.#stage(`manifest${suffix}`, manifest);
  }

  async #stage(name: string, bytes: Uint8Array): Promise<void> {
    const file = join(this.stagingDirectory, name);
    await writeFile(file, bytes);
    this.#staged.set(sha256Digest(bytes), file);
  }

  /** Waits until no other writer publishes. Creates an empty `oci-layout` if there is none. */
  async #lock(): Promise<FileLock> {
    const lock = await FileLock.acquire(this.#path(LAYOUT_FILE), 'exclusive');
    if (lock.isCurrent) {
      return lock;
    }
    // A writer that failed has removed the file.
    lock.release();
    return this.#lock();
  }

  /** Publishes the image. The caller holds the lock. */
  async #publish(descriptor: Descriptor, published: Created): Promise<void> {
    const layoutFile = this.#path(LAYOUT_FILE);
    if (statSync(layoutFile).size === 0) {
      published.add(layoutFile);
      await writeFile(layoutFile, LAYOUT_FILE_CONTENT);
    }
    const indexFile = join(this.stagingDirectory, INDEX_FILE);
    await writeFile(indexFile, this.#newIndex(descriptor));

    published.makeDirectory(this.#path(BLOBS_DIRECTORY));
    for (const [digest, file] of this.#staged) {
      await published.move(file, this.#path(blobPath(digest)));
    }
    // Last, because the index makes the image visible.
    await rename(indexFile, this.#path(INDEX_FILE));
  }

  /** Returns the index with this image instead of those that it replaces. */
  #newIndex(descriptor: Descriptor): Uint8Array {
    const path = this.#path(INDEX_FILE);
    const previous = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
    return withEntry(previous, descriptor, this.#name);
  }
}

/** What a writer has created and removes again if it fails. */
class Created {
  /** Outermost first. */
  readonly #directories: string[] = [];
  readonly #files: string[] = [];

  /** Makes a directory and its missing parents. */
  makeDirectory(path: string): void {
    makeDirectories(path, 0o755, (made) => this.#directories.push(made));
  }

  /** Renames a file. If that replaces another one, the new one stays. */
  async move(from: string, to: string): Promise<void> {
    const isNew = !existsSync(to);
    await rename(from, to);
    if (isNew) {
      this.add(to);
    }
  }

  add(file: string): void {
    this.#files.push(file);
  }

  forget(): void {
    this.#files.length = 0;
    this.#directories.length = 0;
  }

  /** What cannot be removed stays: the failure that led here matters more. */
  async remove(): Promise<void> {
    for (const file of this.#files.splice(0)) {
      await rm(file, { force: true }).catch(() => {});
    }
    // rmdir refuses directories in which other processes have created files meanwhile.
    for (const directory of this.#directories.splice(0).reverse()) {
      await rmdir(directory).catch(() => {});
    }
  }
}

function describeManifest({ manifest, platform }: FinishedImage): Descriptor {
  const { mediaType = OCI_MANIFEST } = parseAnyManifest(manifest);
  return { mediaType, digest: sha256Digest(manifest), size: manifest.length, platform };
}

function describeReferrer({ manifest }: FinishedImage): Descriptor {
  return referrerDescriptor(parseAnyManifest(manifest), manifest);
}

/** A blob, as a file that can be linked, if there is one, and as a stream that checks it. */
interface BlobSource {
  readonly file: string | undefined;
  stream(): ByteStream;
}

function blobOf(image: ImageReader, descriptor: Descriptor): BlobSource {
  return {
    file: image.blobFile(descriptor),
    stream: () => {
      const blob = image.blob(descriptor);
      return image.isVerifying ? blob : verified(blob, descriptor);
    },
  };
}

/**
 * Puts a blob at `target`, as a hard link if the file systems allow one. Throws `CORRUPT`, and
 * leaves nothing at `target`, if the blob is not what its descriptor says.
 */
async function linkOrCopy(
  { file, stream }: BlobSource,
  descriptor: Descriptor,
  target: string,
): Promise<void> {
  try {
    if (file !== undefined && (await tryLink(file, target))) {
      await verifyBlob(readChunks(target), descriptor);
    } else {
      await copy(stream(), target);
    }
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
