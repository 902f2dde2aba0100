/** `tar:FILE` and `tar:-`: a root file system as one tar, as `podman export` prints it. */
import { createReadStream, openSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { resolve } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import type { ByteStream } from '../bytes/stream.js';
import { inContextAsync, OstrataError } from '../errors.js';
import { INDEX_FILE, LAYOUT_FILE } from '../oci/image-layout.js';
import { layerMediaType } from '../oci/media-types.js';
import { MAGIC_SIZE, recognizeCompression } from '../oci/recognize-compression.js';
import { readChunks, readRange } from '../system/file-chunks.js';
import type { FileMap } from './file-map.js';
import type { LayerSource } from './layer-source.js';
import { parentPath } from './path.js';

const PREFIX = 'tar:';
/** The location that stands for standard input. */
const STDIN = '-';

/** Returns FILE of `tar:FILE`; undefined for the reference of an image. */
export function tarLocation(reference: string): string | undefined {
  return reference.startsWith(PREFIX) ? reference.slice(PREFIX.length) : undefined;
}

/** Whether a reference names the tar on standard input. */
export function isTarOnStdin(reference: string | undefined): boolean {
  return reference === PREFIX + STDIN;
}

interface TarSourceOptions {
  /** What `-` stands for. */
  readonly stdin: Readable;
  /** Ends the reading of a pipe. */
  readonly signal: AbortSignal;
}

/** A tar of which nothing is stated but its first bytes. */
interface OpenedTar {
  readonly head: Uint8Array;
  /** Undefined for a pipe. */
  readonly size: number | undefined;
  readonly stream: () => ByteStream;
  /** Undefined for a pipe. */
  readonly file: string | undefined;
}

/**
 * Opens a tar, plain or compressed by gzip or zstd, as the only layer of an image. Its names are
 * those of a layer: one that begins with `.wh.` is a whiteout. Throws `NOT_FOUND` or `IO` if it
 * cannot be read, `CORRUPT` if it is empty, and `UNSUPPORTED` for another compression.
 * @param location the path of a file or a pipe, or `-`
 */
export async function openTar(location: string, options: TarSourceOptions): Promise<LayerSource> {
  const name = PREFIX + location;
  return inContextAsync(`reading ${name}`, async () => {
    const { head, size, stream, file } = await open(location, options);
    if (head.length === 0) {
      throw new OstrataError('CORRUPT', 'is empty; expected a tar of a root file system');
    }
    const mediaType = layerMediaType(recognizeCompression(head));
    return {
      name,
      layers: [{ index: 0, blob: { mediaType, size }, diffId: undefined }],
      isRootFileSystem: true,
      layerName: () => name,
      stream,
      file: () => file,
      check: (files) => checkNoImage(files, location),
    };
  });
}

async function open(location: string, { stdin, signal }: TarSourceOptions): Promise<OpenedTar> {
  if (location === STDIN) {
    return openPipe(addAbortSignal(signal, stdin));
  }
  const stats = statSync(location);
  if (stats.isDirectory()) {
    throw new OstrataError('UNSUPPORTED', 'is a folder; --rootfs takes the path of a folder');
  }
  if (stats.isFIFO()) {
    // A file stream would keep the process until the writer of the pipe writes again.
    const pipe = new Socket({ fd: openSync(location, 'r'), readable: true, writable: false });
    return openPipe(addAbortSignal(signal, pipe));
  }
  if (!stats.isFile()) {
    return openPipe(createReadStream(location, { signal }));
  }
  return {
    head: readRange(location, 0, MAGIC_SIZE, MAGIC_SIZE),
    size: stats.size,
    stream: () => readChunks(location, { followSymlink: true }),
    file: resolve(location),
  };
}

async function openPipe(pipe: AsyncIterable<Uint8Array>): Promise<OpenedTar> {
  const chunks = pipe[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let size = 0;
  while (size < MAGIC_SIZE) {
    const { value, done } = await chunks.next();
    if (done) {
      break;
    }
    first.push(value);
    size += value.length;
  }
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield* first;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  return { head: Buffer.concat(first), size: undefined, stream, file: undefined };
}

/** What `docker save` and `skopeo copy` to `docker-archive:` put at the top. */
const DOCKER_MANIFEST = '/manifest.json';
/** Their directories: of blobs, and in older archives one for each layer. */
const ARCHIVE_DIRECTORY = /^\/(blobs|[0-9a-f]{64})$/;

/** Throws `UNSUPPORTED` if the tar holds an image and not its root file system. */
function checkNoImage(files: FileMap, location: string): void {
  const isLayout = files.get(`/${LAYOUT_FILE}`) && files.get(`/${INDEX_FILE}`);
  if (!isLayout && files.get(DOCKER_MANIFEST) === undefined) {
    return;
  }
  for (const { type, path } of files) {
    const isTop = path !== '/' && parentPath(path) === '/';
    if (isTop && type === 'directory' && !ARCHIVE_DIRECTORY.test(path)) {
      return;
    }
  }
  const transport = isLayout ? 'oci-archive' : 'docker-archive';
  const file = location === STDIN ? 'FILE' : location;
  throw new OstrataError(
    'UNSUPPORTED',
    `holds an image, not a root file system; its reference is ${transport}:${file}`,
  );
}
