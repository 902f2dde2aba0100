/**
 * Transport `oci:DIR[:TAG]`: an OCI image layout (https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md).
 * The tag is the annotation org.opencontainers.image.ref.name of an entry in index.json.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { link, mkdir, mkdtemp, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { ByteStream } from '../../bytes/stream.js';
import { inContext, inContextAsync, OstrataError } from '../../errors.js';
import { REF_NAME } from '../../oci/annotations.js';
import { canonicalJson, sha256Digest } from '../../oci/json.js';
import { INDEX_MEDIA_TYPES, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.js';
import { choosePlatform, hostPlatform, type PlatformChoice } from '../../oci/platform.js';
import {
  type Descriptor,
  type ImageIndex,
  MAX_JSON_SIZE,
  type Platform,
  parseIndex,
  parseManifest,
} from '../../oci/types.js';
import { readRange, streamRange } from '../../system/file-chunks.js';
import { FileLock } from '../../system/file-lock.js';
import { writeFully } from '../../system/write-fully.js';
import type { ImageReader, ImageWriter, Transport } from '../transport.js';

const LAYOUT_FILE = 'oci-layout';
const INDEX_FILE = 'index.json';
const LAYOUT_CONTENT = Buffer.from('{"imageLayoutVersion":"1.0.0"}');
const STAGING_PREFIX = '.ostrata-';

export const ociTransport: Transport = {
  name: 'oci',
  form: 'oci:DIR[:TAG]',
  check: splitTag,
  read: async (rest, { platform }) => {
    const { path, tag } = splitTag(rest);
    return openLayout(directoryFiles(path), tag, `oci:${rest}`, platform);
  },
  write: async (rest) => {
    const { path, tag } = splitTag(rest);
    return createOciWriter(path, tag);
  },
};

/** `PATH[:TAG]`: as in containers/image, a path holds no colon. */
export function splitTag(rest: string): {
  readonly path: string;
  readonly tag?: string | undefined;
} {
  const colon = rest.indexOf(':');
  const [path, tag] = colon < 0 ? [rest, undefined] : [rest.slice(0, colon), rest.slice(colon + 1)];
  if (path === '' || tag === '') {
    throw new OstrataError('USAGE', `image reference ${JSON.stringify(rest)}: expected PATH[:TAG]`);
  }
  return { path, ...(tag !== undefined && { tag }) };
}

/** Files of a layout by their names in it, e.g. `blobs/sha256/HEX`. */
export interface LayoutFiles {
  /** As in messages. */
  readonly location: string;
  /** All bytes of a small file; undefined if it is not there. */
  readAll(name: string): Uint8Array | undefined;
  stream(name: string): ByteStream;
  /** The path of a file that can be linked. */
  file(name: string): string | undefined;
}

const blobName = ({ digest }: Pick<Descriptor, 'digest'>) => `blobs/${digest.replace(':', '/')}`;

/** Reads the image `tag` of a layout, or its only image; of an index, the one for `platform`. */
export function openLayout(
  files: LayoutFiles,
  tag: string | undefined,
  name: string,
  platform: PlatformChoice = hostPlatform(),
): ImageReader {
  const whole = (file: string) => {
    const bytes = files.readAll(file);
    if (bytes === undefined) {
      throw new OstrataError('NOT_FOUND', `${files.location} holds no ${file}`);
    }
    return bytes;
  };
  return inContext(`reading ${name}`, () => {
    const tagged = findEntry(parseIndex(whole(INDEX_FILE)), tag, files.location);
    const entry = INDEX_MEDIA_TYPES.includes(tagged.mediaType)
      ? choosePlatform(parseIndex(verified(whole(blobName(tagged)), tagged)), platform)
      : tagged;
    const manifestBytes = verified(whole(blobName(entry)), entry);
    const manifest = parseManifest(manifestBytes);
    return {
      name,
      manifestDigest: entry.digest,
      manifestBytes,
      manifest,
      config: async () =>
        inContext(`reading ${name}`, () =>
          verified(whole(blobName(manifest.config)), manifest.config),
        ),
      blob: (descriptor) => files.stream(blobName(descriptor)),
      blobFile: (descriptor) => files.file(blobName(descriptor)),
    };
  });
}

function findEntry(index: ImageIndex, tag: string | undefined, place: string): Descriptor {
  const tags = index.manifests.map(({ annotations }) => annotations?.[REF_NAME]);
  const known = `tags: ${tags.filter(Boolean).join(', ') || 'none'}`;
  if (tag !== undefined) {
    const found = index.manifests[tags.indexOf(tag)];
    if (found === undefined) {
      throw new OstrataError('NOT_FOUND', `no image with tag ${tag} in ${place}; ${known}`);
    }
    return found;
  }
  const [only, second] = index.manifests;
  if (only === undefined) {
    throw new OstrataError('NOT_FOUND', `no image in ${place}`);
  }
  if (second !== undefined) {
    throw new OstrataError(
      'AMBIGUOUS',
      `${index.manifests.length} images in ${place}, name one of them; ${known}`,
    );
  }
  return only;
}

function verified(bytes: Uint8Array, { digest, size }: Descriptor): Uint8Array {
  if (bytes.length !== size) {
    throw new OstrataError('CORRUPT', `blob ${digest}: ${bytes.length} bytes instead of ${size}`);
  }
  const computed = sha256Digest(bytes);
  if (computed !== digest) {
    throw new OstrataError('CORRUPT', `blob ${digest}: has the digest ${computed}`);
  }
  return bytes;
}

function directoryFiles(directory: string): LayoutFiles {
  return {
    location: directory,
    readAll: (name) => {
      const path = join(directory, name);
      return existsSync(path) ? readRange(path, 0, statSync(path).size, MAX_JSON_SIZE) : undefined;
    },
    stream: (name) => streamRange(join(directory, name)),
    file: (name) => (existsSync(join(directory, name)) ? join(directory, name) : undefined),
  };
}

/** Writes into the layout at `directory`, which is made if it is not there. Other tags stay as they are. */
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
  /** Directories made here, outermost first, and blobs that became visible: undone unless committed. */
  readonly #madeDirectories: string[] = [];
  readonly #staged = new Map<string, string>();
  readonly #madeFiles: string[] = [];

  constructor(directory: string, tag: string | undefined) {
    this.#directory = directory;
    this.#tag = tag;
  }

  async prepare(): Promise<void> {
    const names = existsSync(this.#directory) ? await readdir(this.#directory) : [];
    // Another process may be about to make the layout.
    const others = names.filter((name) => !name.startsWith(STAGING_PREFIX));
    if (others.length > 0 && !others.includes(LAYOUT_FILE) && !others.includes(INDEX_FILE)) {
      throw new OstrataError(
        'UNSUPPORTED',
        'the folder is not empty and holds no OCI image layout',
      );
    }
    if (others.includes(INDEX_FILE)) {
      parseIndex(readFileSync(join(this.#directory, INDEX_FILE)));
    }
    await this.#makeDirectory(this.#directory);
    this.stagingDirectory = await mkdtemp(join(this.#directory, STAGING_PREFIX));
  }

  /** Makes a directory and what is missing above it. */
  async #makeDirectory(path: string): Promise<void> {
    try {
      await mkdir(path, { mode: 0o755 });
      this.#madeDirectories.push(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') {
        return;
      }
      if (code !== 'ENOENT') {
        throw error;
      }
      await this.#makeDirectory(dirname(path));
      await this.#makeDirectory(path);
    }
  }

  async addBlob(file: string, { digest }: Descriptor): Promise<void> {
    this.#staged.set(digest, file);
  }

  async mountBlob(descriptor: Descriptor, from: ImageReader): Promise<void> {
    if (this.#staged.has(descriptor.digest) || this.#has(descriptor)) {
      return;
    }
    const target = join(this.stagingDirectory, descriptor.digest.replace(':', '-'));
    await inContextAsync(`taking over blob ${descriptor.digest} of ${from.name}`, async () => {
      const file = from.blobFile(descriptor);
      const size = file === undefined ? undefined : statSync(file).size;
      if (size !== undefined && size !== descriptor.size) {
        throw new OstrataError('CORRUPT', `${size} bytes instead of ${descriptor.size}`);
      }
      if (file === undefined || !(await tryLink(file, target))) {
        await (from.isVerifying
          ? copy(from.blob(descriptor), target)
          : copyVerified(from.blob(descriptor), target, descriptor));
      }
    });
    this.#staged.set(descriptor.digest, target);
  }

  async commit({
    config,
    manifest,
    platform,
  }: {
    config: Uint8Array;
    manifest: Uint8Array;
    platform?: Platform | undefined;
  }): Promise<void> {
    await inContextAsync(`writing ${this.#directory}`, async () => {
      await this.#publishLayoutFile();
      await this.#makeDirectory(join(this.#directory, 'blobs/sha256'));
      for (const bytes of [config, manifest]) {
        const file = join(this.stagingDirectory, bytes === config ? 'config' : 'manifest');
        await writeFile(file, bytes);
        this.#staged.set(sha256Digest(bytes), file);
      }
      for (const [digest, file] of this.#staged) {
        await this.#publish(`blobs/${digest.replace(':', '/')}`, file);
      }
      // Last: from here on the image is there.
      const { mediaType = OCI_MANIFEST } = parseManifest(manifest);
      await this.#publishIndex({
        mediaType,
        digest: sha256Digest(manifest),
        size: manifest.length,
        platform,
      });
    });
    this.#madeFiles.length = 0;
    this.#madeDirectories.length = 0;
    await this.discard();
  }

  async discard(): Promise<void> {
    if (this.stagingDirectory !== '') {
      await rm(this.stagingDirectory, { recursive: true, force: true });
    }
    for (const file of this.#madeFiles.splice(0)) {
      await rm(file, { force: true });
    }
    // rmdir refuses what others have put there meanwhile.
    for (const directory of this.#madeDirectories.splice(0).reverse()) {
      await rmdir(directory).catch(() => {});
    }
  }

  #has({ digest, size }: Descriptor): boolean {
    return (
      statSync(join(this.#directory, 'blobs', digest.replace(':', '/')), { throwIfNoEntry: false })
        ?.size === size
    );
  }

  /** The first that is there, and never replaced: it is what writers of the index lock. */
  async #publishLayoutFile(): Promise<void> {
    const path = join(this.#directory, LAYOUT_FILE);
    const isNew = await writeFile(path, LAYOUT_CONTENT, { flag: 'wx' }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') {
          throw error;
        }
        return false;
      },
    );
    if (isNew) {
      this.#madeFiles.push(path);
    }
  }

  /** Puts the image into the index, which others may be doing with theirs. */
  async #publishIndex(descriptor: Descriptor): Promise<void> {
    const lock = await FileLock.acquire(join(this.#directory, LAYOUT_FILE), 'exclusive');
    try {
      const file = join(this.stagingDirectory, INDEX_FILE);
      await writeFile(file, canonicalJson(this.#index(descriptor)));
      await this.#publish(INDEX_FILE, file);
    } finally {
      lock.release();
    }
  }

  /** The index with this image in the place of the one of the same tag. */
  #index(descriptor: Descriptor): object {
    const path = join(this.#directory, INDEX_FILE);
    const existing = existsSync(path)
      ? (JSON.parse(readFileSync(path, 'utf8')) as { manifests: Descriptor[] })
      : { manifests: [] };
    const annotations = this.#tag === undefined ? {} : { annotations: { [REF_NAME]: this.#tag } };
    const others = existing.manifests.filter(
      (entry) => entry.annotations?.[REF_NAME] !== this.#tag,
    );
    return {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      ...existing,
      manifests: [...others, { ...descriptor, ...annotations }],
    };
  }

  async #publish(name: string, file: string): Promise<void> {
    const path = join(this.#directory, name);
    const isNew = !existsSync(path);
    await rename(file, path);
    if (isNew) {
      this.#madeFiles.push(path);
    }
  }
}

/** A hard link where the file systems allow one. */
async function tryLink(file: string, target: string): Promise<boolean> {
  try {
    await link(file, target);
    return true;
  } catch {
    return false;
  }
}

async function copyVerified(
  stream: ByteStream,
  target: string,
  { digest, size }: Descriptor,
): Promise<void> {
  const hash = createHash('sha256');
  let length = 0;
  await copy(stream, target, (chunk) => {
    hash.update(chunk);
    length += chunk.length;
  });
  const computed = `sha256:${hash.digest('hex')}`;
  if (length !== size || computed !== digest) {
    throw new OstrataError(
      'CORRUPT',
      `${length} bytes of digest ${computed} instead of ${size} bytes`,
    );
  }
}

async function copy(
  stream: ByteStream,
  target: string,
  look: (chunk: Uint8Array) => void = () => {},
): Promise<void> {
  const fd = openSync(target, 'wx', 0o644);
  try {
    for await (const chunk of stream) {
      look(chunk);
      writeFully(fd, chunk);
    }
  } finally {
    closeSync(fd);
  }
}
