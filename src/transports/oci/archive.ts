/** Transport `oci-archive:FILE[:TAG]`: an OCI image layout as one uncompressed tar. Writing replaces the whole file. */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { mkdtemp, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { inContext, inContextAsync, OstrataError, wrapError } from '../../errors.js';
import { MAX_JSON_SIZE } from '../../oci/types.js';
import { readRange, streamRange } from '../../system/file-chunks.js';
import { TAR_BLOCK } from '../../tar/fields.js';
import { TarReader } from '../../tar/reader.js';
import type { ImageWriter, Transport } from '../transport.js';
import { createOciWriter, type LayoutFiles, openLayout, splitTag } from './directory.js';

/** Bounds an archive of many small entries: an image has a few hundred files. */
const MAX_ENTRIES = 100_000;

export const ociArchiveTransport: Transport = {
  name: 'oci-archive',
  form: 'oci-archive:FILE[:TAG]',
  check: splitTag,
  read: async (rest, { platform }) => {
    const { path, tag } = splitTag(rest);
    const name = `oci-archive:${rest}`;
    return openLayout(
      inContext(`reading ${name}`, () => archiveFiles(path)),
      tag,
      name,
      platform,
    );
  },
  write: async (rest) => {
    const { path, tag } = splitTag(rest);
    return createArchiveWriter(resolve(path), tag);
  },
};

/** Where each file lies in the archive, by its headers alone; blobs are then read in place. */
function archiveFiles(path: string): LayoutFiles {
  const places = new Map<string, { readonly offset: number; readonly size: number }>();
  let at = 0;
  const reader = new TarReader({
    entry: ({ type, name, size }) => {
      if (places.size === MAX_ENTRIES) {
        throw new OstrataError('LIMIT', `more than ${MAX_ENTRIES} entries`);
      }
      if (type === 'file') {
        places.set(name.replace(/^(\.?\/)+/, ''), { offset: at, size });
      }
    },
    content: () => {},
    entryEnd: () => {},
  });
  const fd = openSync(path, 'r');
  try {
    const block = Buffer.alloc(TAR_BLOCK);
    for (
      let read = readSync(fd, block, 0, TAR_BLOCK, 0);
      read > 0;
      read = readSync(fd, block, 0, TAR_BLOCK, at)
    ) {
      at += read;
      reader.push(block.subarray(0, read));
      at += reader.skip();
    }
    reader.end();
    const { size } = fstatSync(fd);
    if (at > size) {
      throw new OstrataError('CORRUPT', `tar archive ends after ${size} of at least ${at} bytes`);
    }
  } catch (error) {
    throw wrapError('not a tar archive', error);
  } finally {
    closeSync(fd);
  }
  return {
    location: path,
    readAll: (name) => {
      const place = places.get(name);
      return place && readRange(path, place.offset, place.size, MAX_JSON_SIZE);
    },
    stream: (name) => {
      const place = places.get(name);
      if (place === undefined) {
        throw new OstrataError('NOT_FOUND', `${path} holds no ${name}`);
      }
      return streamRange(path, place.offset, place.size);
    },
    file: () => undefined,
  };
}

async function createArchiveWriter(path: string, tag: string | undefined): Promise<ImageWriter> {
  if (existsSync(path) && !statSync(path).isFile()) {
    throw new OstrataError('UNSUPPORTED', `${path} is not a regular file`);
  }
  const staging = await mkdtemp(join(dirname(path), '.ostrata-')).catch((error) => {
    throw wrapError(`preparing ${path}`, error);
  });
  const discard = () => rm(staging, { recursive: true, force: true });
  const layout = await createOciWriter(join(staging, 'layout'), tag);
  return {
    stagingDirectory: layout.stagingDirectory,
    addBlob: (file, descriptor) => layout.addBlob(file, descriptor),
    mountBlob: (descriptor, from) => layout.mountBlob(descriptor, from),
    commit: async (image) => {
      await inContextAsync(`writing ${path}`, async () => {
        await layout.commit(image);
        await packDirectory(join(staging, 'layout'), join(staging, 'archive'));
        await rename(join(staging, 'archive'), path);
      });
      await discard();
    },
    discard,
  };
}

/** All regular files below `directory` as a tar, in byte order of their names, with nothing of this machine in it. */
async function packDirectory(directory: string, archive: string): Promise<void> {
  const names = (await readdir(directory, { recursive: true })).sort();
  const pack = tar.pack();
  const file = await open(archive, 'wx', 0o644);
  const written = pipeline(pack as unknown as Readable, file.createWriteStream());
  const fill = async () => {
    for (const name of names) {
      const stats = statSync(join(directory, name));
      const header = { name, mtime: new Date(0), mode: stats.isDirectory() ? 0o40755 : 0o100644 };
      if (stats.isDirectory()) {
        pack.entry({ ...header, type: 'directory' });
      } else {
        const entry = pack.entry({ ...header, size: stats.size }) as unknown as Writable;
        await pipeline(Readable.from(copies(join(directory, name))), entry);
      }
    }
    pack.finalize();
  };
  await Promise.all([fill(), written]);
}

/** tar-stream keeps what it is given until it is written out, so the shared buffer cannot be handed on. */
function* copies(path: string): Generator<Uint8Array> {
  for (const chunk of streamRange(path)) {
    yield Buffer.from(chunk);
  }
}
