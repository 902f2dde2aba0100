/** The files of a tree as a tar-diff uses them: any range of one file at a time. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { type ByteStream, collect } from '../bytes/stream.js';
import { inContext, OstrataError } from '../errors.js';
import { readChunks } from '../system/file-chunks.js';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../system/temporary-directory.js';
import { writeFully } from '../system/write-fully.js';
import type { OldFile, OldFiles } from '../tar-diff/apply.js';
import type { ExactLookup } from '../tree/lookup.js';
import type { FileEntry, Tree } from '../tree/tree.js';

/** The tree of the old image, of which single files are read. */
export interface OldTree extends Pick<Tree, 'name' | 'read'> {
  readonly files: Pick<ExactLookup, 'get'>;
}

/** Files up to this size are held in memory. */
const MAX_IN_MEMORY = 4 << 20;

/**
 * Reads each file from its tree as a whole, which verifies it, and keeps it until the next one: a
 * small one in memory, a large one in a temporary file.
 */
export class TreeFiles implements OldFiles {
  readonly #tree: OldTree;
  readonly #spool: string;
  #directory: TemporaryDirectory | undefined;
  /** The open file, since one file may be opened several times in a row. */
  #open: { readonly path: string; readonly file: OldFile } | undefined;

  /** @param spool the folder for a large file */
  constructor(tree: OldTree, spool: string) {
    this.#tree = tree;
    this.#spool = spool;
  }

  async open(path: string): Promise<OldFile> {
    if (this.#open?.path !== path) {
      this.#open = undefined;
      this.#open = { path, file: await this.#read(path) };
    }
    return this.#open.file;
  }

  /** Removes the temporary file. */
  close(): void {
    this.#directory?.remove();
  }

  async #read(path: string): Promise<OldFile> {
    const entry = this.#find(path);
    if (entry?.type !== 'file') {
      const what = entry === undefined ? 'no file' : `a ${entry.type} and no file`;
      throw new OstrataError('NOT_FOUND', `${this.#tree.name} has ${what} ${path}`);
    }
    const { size } = entry;
    const chunks = this.#tree.read(entry.path);
    return size <= MAX_IN_MEMORY ? inMemory(size, chunks) : this.#inFile(size, chunks);
  }

  /** In an ostree commit, what an image has in `/etc` is in `/usr/etc`. */
  #find(path: string): FileEntry | undefined {
    const { files } = this.#tree;
    const isConfiguration = path.startsWith('etc/');
    return files.get(`/${path}`) ?? (isConfiguration ? files.get(`/usr/${path}`) : undefined);
  }

  async #inFile(size: number, chunks: ByteStream): Promise<OldFile> {
    this.#directory ??= inContext(`making a temporary file in ${this.#spool}`, () =>
      makeTemporaryDirectory('ostrata-delta-', this.#spool),
    );
    const path = join(this.#directory.path, 'file');
    const fd = openSync(path, 'w', 0o600);
    try {
      for await (const chunk of chunks) {
        writeFully(fd, chunk);
      }
    } finally {
      closeSync(fd);
    }
    return { size, read: (offset, length) => readChunks(path, { offset, length }) };
  }
}

async function inMemory(size: number, chunks: ByteStream): Promise<OldFile> {
  const content = await collect(chunks, size);
  return { size, read: (offset, length) => [content.subarray(offset, offset + length)] };
}
