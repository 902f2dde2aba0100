/**
 * Where the content of a tree's files lies. A location is plain data, so that a worker thread can
 * be told where to read, and content is addressed by path and checksum, never by callbacks.
 */
import type { BufferSource, ByteStream } from '../bytes/stream.js';
import { verified } from '../ostree/content.js';
import type { FileInfo } from '../ostree/objects/file.js';
import { encodeXattrs } from '../ostree/objects/xattr-list.js';
import { type OstreeRepo, openRepo } from '../ostree/repo.js';
import { readUnchanged } from './directory.js';
import type { RegularFile } from './entry.js';
import type { FileMap } from './file-map.js';
import type { KeptBase } from './kept-base.js';
import { regularFile, wholeFile } from './lookup.js';
import { deployedPath } from './path.js';
import { Spool } from './spool.js';
import type { Tree, TreePath } from './tree.js';

/**
 * An ostree repository, a directory that paths of the tree begin in, or the spool (spool.ts) of an
 * image.
 */
export interface ContentLocation {
  readonly kind: 'repo' | 'directory' | 'spool';
  readonly path: string;
  /** Whether `/usr/etc` of the tree is `/etc` of the directory. */
  readonly isDeployed?: boolean | undefined;
}

/** A tree whose content can be read by other threads. */
export interface LocatedTree extends Tree {
  readonly content: ContentLocation;
  /** The base image whose layers are kept; only what differs from them is written. */
  readonly base?: KeptBase | undefined;
  /**
   * Puts the content of files with these checksums at `content`. Trees whose content always is
   * there lack this.
   */
  readonly fetch?: ((checksums: Iterable<string>) => Promise<void>) | undefined;
  /**
   * Removes what the tree has on the disk. If it is never called, that is done when the process
   * ends.
   */
  readonly close?: (() => void) | undefined;
}

/** A regular file as a layer needs it. */
export interface LocatedFile {
  /** A path that the file has in the tree. */
  readonly path: TreePath;
  /** Checksum of the content object. */
  readonly checksum: string;
  readonly info: FileInfo;
}

/** Reads the content of files at one location. */
export interface ContentReader {
  /**
   * Streams a regular file. Iterating throws `CORRUPT` if its bytes do not match its checksum.
   * @param buffers memory for the chunks, asked for before each; not every location uses it
   */
  read(file: LocatedFile, buffers?: BufferSource): ByteStream;
}

/** Opens a location. Throws `NOT_FOUND` and `UNSUPPORTED` as {@link openRepo} does. */
export function openContent({ kind, path, isDeployed }: ContentLocation): ContentReader {
  switch (kind) {
    case 'repo':
      return repoContent(openRepo(path));
    case 'directory':
      return directoryContent(path, isDeployed);
    case 'spool':
      return spoolContent(path);
  }
}

/** Reads content objects of a repository. */
export function repoContent(repo: OstreeRepo): ContentReader {
  return { read: ({ checksum, info }, buffers) => repo.readFile(checksum, info, buffers) };
}

function directoryContent(root: string, isDeployed = false): ContentReader {
  return {
    read: ({ path, checksum, info }, buffers) => {
      const name = root + (isDeployed ? deployedPath(path) : path);
      const context = `${name} was changed after it was looked at`;
      return verified(readUnchanged(name, info.size, buffers), info, checksum, context);
    },
  };
}

/** What is needed to read files of a tree. */
type Located = Pick<LocatedTree, 'name' | 'content' | 'fetch'> & { readonly files: FileMap };

/** Returns the functions of a tree that read its files. */
export function readFunctions({
  name,
  files,
  content,
  fetch,
}: Located): Pick<Tree, 'read' | 'bytes'> {
  let reader: ContentReader | undefined;
  async function* read(file: RegularFile): AsyncGenerator<Uint8Array> {
    const { path, checksum } = file;
    await fetch?.([checksum]);
    reader ??= openContent(content);
    const info = { ...file, xattrsBytes: encodeXattrs(file.xattrs) };
    yield* reader.read({ path, checksum, info });
  }
  return {
    read: (path) => read(regularFile(path, files.get(path), name)),
    bytes: (path) => wholeFile(path, files.resolve(path, true), name, read),
  };
}

function spoolContent(directory: string): ContentReader {
  const spool = new Spool(directory);
  return {
    read: ({ path, checksum, info }, buffers) => {
      const content = spool.read(checksum, info.size, buffers);
      return verified(content, info, checksum, `reading ${path} from the spool ${directory}`);
    },
  };
}
