/** Reads and writes an OCI image layout as one uncompressed tar. */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { open, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { inContext, inContextAsync, OstrataError, wrapError } from '../../errors.js';
import { duringWork, type Logger } from '../../log.js';
import { MAX_JSON_SIZE } from '../../oci/types.js';
import { readRange } from '../../system/file-chunks.js';
import {
  makeTemporaryDirectory,
  type TemporaryDirectory,
} from '../../system/temporary-directory.js';
import { TAR_BLOCK } from '../../tar/fields.js';
import { TarReader } from '../../tar/reader.js';
import type { ImageWriter } from '../transport.js';
import { type LayoutFiles, streamFile } from './reader.js';
import { createOciWriter } from './writer.js';

/** Bounds an archive of many small entries: an image has a few hundred files. */
const MAX_ENTRIES = 100_000;

/** Where the content of a file lies in the archive, in bytes. */
interface FileRange {
  readonly offset: number;
  readonly size: number;
}

/** Returns the files of an archive, which are read in place. */
export function archiveFiles(path: string): LayoutFiles {
  const ranges = findFiles(path);
  return {
    path,
    has: (name) => ranges.has(name),
    readAll: (name) => {
      const range = ranges.get(name);
      return range && readRange(path, range.offset, range.size, MAX_JSON_SIZE);
    },
    stream: (name) => {
      const range = ranges.get(name);
      if (range === undefined) {
        throw new OstrataError('NOT_FOUND', `${path} lacks ${name}`);
      }
      return streamFile(path, { offset: range.offset, length: range.size });
    },
    linkablePath: () => undefined,
  };
}

/** Returns where each file lies, by its name. Only the headers are read, content is skipped. */
function findFiles(path: string): ReadonlyMap<string, FileRange> {
  const ranges = new Map<string, FileRange>();
  let position = 0;
  const reader = new TarReader({
    entry: ({ type, name, size, extents }) => {
      if (extents !== undefined) {
        const nextStep = 'pack the archive again without --sparse';
        throw new OstrataError('UNSUPPORTED', `is a sparse file: ${nextStep}`);
      }
      if (ranges.size === MAX_ENTRIES) {
        throw new OstrataError('LIMIT', `more than ${MAX_ENTRIES} entries`);
      }
      if (type === 'file') {
        ranges.set(name.replace(/^(\.?\/)+/, ''), { offset: reader.contentOffset, size });
      }
    },
    content: () => {},
    entryEnd: () => {},
  });

  const fd = openSync(path, 'r');
  try {
    const block = Buffer.alloc(TAR_BLOCK);
    let count = readSync(fd, block, 0, TAR_BLOCK, position);
    while (count > 0) {
      position += count;
      reader.push(block.subarray(0, count));
      position += reader.skip();
      count = readSync(fd, block, 0, TAR_BLOCK, position);
    }
    reader.end();
    checkSize(fd, position);
    return ranges;
  } catch (error) {
    throw wrapError('not a tar archive', error);
  } finally {
    closeSync(fd);
  }
}

/**
 * Throws `CORRUPT` if the archive is cut within the content of its last file, which was skipped
 * without being read.
 */
function checkSize(fd: number, needed: number): void {
  const { size } = fstatSync(fd);
  if (needed > size) {
    throw new OstrataError('CORRUPT', `tar archive ends after ${size} of at least ${needed} bytes`);
  }
}

/** What progress says while an archive is packed. */
const PACKING = 'writing the archive';

/** Writes an image layout into a temporary directory beside the archive and packs it in the end. */
export async function createArchiveWriter(
  path: string,
  tag: string | undefined,
  log: Logger,
): Promise<ImageWriter> {
  if (existsSync(path) && !statSync(path).isFile()) {
    throw new OstrataError('UNSUPPORTED', `${path} is not a regular file`);
  }
  const staging = inContext(`preparing ${path}`, () =>
    makeTemporaryDirectory('.ostrata-', dirname(path)),
  );
  return createWriter(staging, tag, path, async (directory) => {
    const archive = join(staging.path, 'archive');
    const file = await open(archive, 'wx', 0o644);
    await duringWork(log, PACKING, () => packDirectory(directory, file.createWriteStream()));
    await rename(archive, path);
  });
}

/** Writes an image layout into the folder for temporary files and packs it to a stream. */
export function createStreamWriter(
  tag: string | undefined,
  stdout: Writable,
  log: Logger,
): Promise<ImageWriter> {
  const staging = makeTemporaryDirectory('ostrata-');
  return createWriter(staging, tag, 'the archive to standard output', (directory) =>
    duringWork(log, PACKING, () => packDirectory(directory, stdout, { end: false })),
  );
}

/**
 * Writes an image layout into `staging`.
 * @param name what is written, for messages
 * @param pack brings the finished layout to its destination
 */
async function createWriter(
  staging: TemporaryDirectory,
  tag: string | undefined,
  name: string,
  pack: (directory: string) => Promise<void>,
): Promise<ImageWriter> {
  const directory = join(staging.path, 'layout');
  const layout = await createOciWriter(directory, tag).catch((error: unknown) => {
    staging.remove();
    throw error;
  });
  const packAfter = async (commit: () => Promise<void>) => {
    await inContextAsync(`writing ${name}`, async () => {
      await commit();
      await pack(directory);
    });
    staging.remove();
  };
  return {
    stagingDirectory: layout.stagingDirectory,
    addBlob: (file, descriptor) => layout.addBlob(file, descriptor),
    mountBlob: (descriptor, from) => layout.mountBlob(descriptor, from),
    commit: (image) => packAfter(() => layout.commit(image)),
    commitIndex: (finished) => packAfter(() => layout.commitIndex(finished)),
    discard: async () => staging.remove(),
  };
}

/**
 * Packs everything below `directory` into a tar. The entries are in byte order of their names and
 * state nothing about this machine, so that equal layouts become equal archives.
 */
async function packDirectory(
  directory: string,
  destination: Writable,
  options: { readonly end?: boolean } = {},
): Promise<void> {
  const names = (await readdir(directory, { recursive: true })).sort();
  const pack = tar.pack();
  const written = pipeline(pack, destination, options);
  await Promise.all([packEntries(pack, directory, names), written]);
}

async function packEntries(
  pack: tar.Pack,
  directory: string,
  names: readonly string[],
): Promise<void> {
  const mtime = new Date(0);
  for (const name of names) {
    const path = join(directory, name);
    const stats = statSync(path);
    if (stats.isDirectory()) {
      pack.entry({ name, mtime, mode: 0o40755, type: 'directory' });
    } else {
      const entry = pack.entry({ name, mtime, mode: 0o100644, size: stats.size });
      // The stream of tar-stream works as one of Node, but its type differs.
      await pipeline(Readable.from(copiedChunks(path)), entry as unknown as Writable);
    }
  }
  pack.finalize();
}

/** tar-stream keeps chunks until they are written, so they cannot share one buffer. */
function* copiedChunks(path: string): Generator<Uint8Array> {
  for (const chunk of streamFile(path)) {
    yield Buffer.from(chunk);
  }
}
