/**
 * Functions that all readers of layer tars share: they read entries, check their names, and turn
 * them into content objects.
 */
import { setImmediate } from 'node:timers/promises';
import type { ContentSink } from '../bytes/stream.js';
import { OstrataError } from '../errors.js';
import type { LayerTar } from '../oci/layer-tar.js';
import { S_IFLNK, S_IFREG } from '../ostree/objects/dirmeta.js';
import { checkTarget, type FileHeader, startFileChecksum } from '../ostree/objects/file.js';
import type { TarHeader } from '../tar/entry.js';
import { TarReader } from '../tar/reader.js';

export interface LayerTarOptions {
  /** Called with all bytes of the tar, which are valid until it returns. */
  readonly onBytes?: ((bytes: Uint8Array) => void) | undefined;
  /** See {@link TarReader.end}; the digest of a layer shows as well that it is complete. */
  readonly needsEndMarker?: boolean | undefined;
}

/**
 * Reads a tar to its end. `onEntry` is called for every entry, with the offset of its content in
 * the tar, and returns what takes the content, or undefined if nothing does; an entry without
 * content is finished at once. Errors of `onEntry` and of the sinks get the name of the entry.
 */
export async function readLayerTar(
  tar: LayerTar,
  onEntry: (header: TarHeader, contentOffset: number) => ContentSink | undefined,
  { onBytes, needsEndMarker }: LayerTarOptions = {},
): Promise<void> {
  let sink: ContentSink | undefined;
  const reader = new TarReader({
    entry: (header) => {
      tar.allowContent(header.storedSize);
      sink = onEntry(header, reader.contentOffset);
    },
    content: (bytes) => sink?.write(bytes),
    entryEnd: () => sink?.finish(),
  });
  for await (const bytes of tar) {
    onBytes?.(bytes);
    for (const _ of reader.steps(bytes)) {
      await setImmediate();
    }
  }
  reader.end(needsEndMarker);
}

/** PATH_MAX of Linux, in bytes: no program could open a file by a longer path. */
const MAX_PATH_SIZE = 4096;
/** NAME_MAX of Linux, in bytes: no file system could hold a longer component. */
const MAX_NAME_SIZE = 255;

/**
 * Returns the components of the name of an entry. A name is relative to the root, even if it begins
 * with a slash. Throws `CORRUPT` if it has a component `..`, which could lead out of the image.
 * Throws `LIMIT` if it or a component is longer than any can be; this also bounds how deep
 * directories are nested.
 */
export function pathComponents(name: string): string[] {
  const size = Buffer.byteLength(name);
  if (size > MAX_PATH_SIZE) {
    throw new OstrataError('LIMIT', `a path of ${size} bytes, at most ${MAX_PATH_SIZE}`);
  }
  const components = name.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) {
    throw new OstrataError('CORRUPT', 'leaves the image');
  }
  if (components.some((component) => Buffer.byteLength(component) > MAX_NAME_SIZE)) {
    throw new OstrataError('LIMIT', `a file name of more than ${MAX_NAME_SIZE} bytes`);
  }
  return components;
}

/** Returns the header of the content object for a regular file or symlink of a tar. */
export function contentHeader(header: TarHeader, xattrsBytes: Uint8Array): FileHeader {
  const { uid, gid, mode, size, linkname } = header;
  if (header.type === 'symlink') {
    return { uid, gid, mode: mode | S_IFLNK, size, target: checkTarget(linkname), xattrsBytes };
  }
  return { uid, gid, mode: mode | S_IFREG, size, xattrsBytes };
}

/** Computes the checksum of a content object while its content goes to `sink`, if there is one. */
export function hashContent(
  header: FileHeader,
  sink: Pick<ContentSink, 'write'> | undefined,
  onChecksum: (checksum: string) => void,
): ContentSink {
  const hash = startFileChecksum(header);
  return {
    write(bytes) {
      hash.update(bytes);
      sink?.write(bytes);
    },
    finish: () => onChecksum(hash.digest('hex')),
  };
}

/**
 * Collects the whole content of an entry and calls `onComplete` with it. Throws `LIMIT` if it has
 * more than `limit` bytes.
 */
export function collectContent(
  header: TarHeader,
  limit: number,
  onComplete: (bytes: Uint8Array) => void,
): ContentSink {
  if (header.type !== 'file') {
    throw new OstrataError('CORRUPT', `is a ${header.type}`);
  }
  if (header.size > limit) {
    throw new OstrataError('LIMIT', `${header.size} bytes, at most ${limit}`);
  }
  const content = new Uint8Array(header.size);
  let filled = 0;
  return {
    write(bytes) {
      content.set(bytes, filled);
      filled += bytes.length;
    },
    finish: () => onComplete(content),
  };
}

/** Throws `CORRUPT` if an object does not have the checksum that its name states. */
export function checkChecksum(stated: string, computed: string): void {
  if (computed !== stated) {
    throw new OstrataError('CORRUPT', `has the checksum ${computed}`);
  }
}
