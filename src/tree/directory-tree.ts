/** The whole tree below a directory of this machine, e.g. the root file system of an image. */
import { must } from '../errors.js';
import { XattrsInterner } from '../ostree/objects/xattr-list.js';
import type { LocatedTree } from './content-location.js';
import { lookupDirectory, readUnchanged } from './directory.js';
import { type WalkedEntry, type WalkOptions, walkDirectory } from './directory-walk.js';
import { type EntryDigests, type LabeledEntry, readEntryDigests } from './file-digests.js';
import { FileMap } from './file-map.js';
import type { LabelOf, LabelSource } from './labels.js';
import { regularFile } from './lookup.js';
import { makeDirectory, makeFile, makeSymlink } from './make-entry.js';
import type { FileEntry } from './tree.js';

export interface DirectoryTreeOptions extends WalkOptions {
  readonly signal: AbortSignal;
  /** Largest number of threads that read content, at least 1. */
  readonly jobs: number;
  /** Names of xattrs that are ignored; a name that ends in a dot is a prefix. */
  readonly ignoredXattrs?: readonly string[] | undefined;
  /**
   * Returns what labels the entries, which then are as in a commit: without digests of their
   * content alone. By default they keep the labels that they have.
   */
  readonly labels?: LabelSource | undefined;
}

/**
 * Walks everything below `directory`, and reads and hashes all content once. If `directory` itself
 * is a symlink it is followed, but no other one is. Nothing is written. Throws what {@link
 * walkDirectory} and {@link readEntryDigests} throw, and `NOT_FOUND` if there is no such directory.
 */
export async function openDirectoryTree(
  directory: string,
  options: DirectoryTreeOptions,
): Promise<LocatedTree> {
  const lookup = lookupDirectory(directory);
  const { name: root, bytes } = lookup;
  const labelOf = await options.labels?.(lookup);
  const files = new FileMap(await readEntries(root, labelOf, options));
  options.log.info(`${root}: ${files.size} entries`);
  return {
    name: root,
    files,
    content: { kind: 'directory', path: root },
    read: (path) => readUnchanged(root + path, regularFile(path, files.get(path), root).size),
    bytes,
  };
}

/**
 * Returns all entries with their digests. This is not a part of {@link openDirectoryTree}: the
 * closures that it returns would keep everything in memory that was walked.
 */
async function readEntries(
  root: string,
  labelOf: LabelOf | undefined,
  options: DirectoryTreeOptions,
): Promise<readonly FileEntry[]> {
  const { log, signal, jobs, ignoredXattrs = [] } = options;
  const walked = walkDirectory(root, options);
  const labeled =
    labelOf === undefined ? walked : walked.map((entry) => withLabelOf(entry, labelOf));

  // Of the names of one file only the first is read, unless they have different labels.
  const toRead = new Map<string, LabeledEntry>();
  for (const entry of labeled) {
    const key = objectKey(entry);
    if (!toRead.has(key)) {
      toRead.set(key, entry);
    }
  }
  const read = [...toRead.values()];
  const results = await readEntryDigests(root, read, {
    jobs,
    ignoredXattrs,
    // In a commit, a file has no other digest than its checksum.
    hasContentDigests: options.labels === undefined,
    log,
    signal,
  });
  const digests = new Map(results.map((digest, i) => [objectKey(must(read[i], 'entry')), digest]));

  const interner = new XattrsInterner();
  return labeled.map((entry) =>
    treeEntry(entry, must(digests.get(objectKey(entry)), entry.path), interner),
  );
}

function withLabelOf(entry: WalkedEntry, labelOf: LabelOf): LabeledEntry {
  return { ...entry, label: labelOf(entry.path, entry.mode) };
}

function objectKey({ inode, label, path }: LabeledEntry): string {
  return inode === undefined ? path : `${inode} ${label}`;
}

function treeEntry(
  walked: WalkedEntry,
  { checksum, contentDigest, xattrsBytes }: EntryDigests,
  interner: XattrsInterner,
): FileEntry {
  const { type, path, size, target, inode } = walked;
  const { xattrs } = interner.intern(xattrsBytes);
  switch (type) {
    case 'directory':
      return makeDirectory(path, walked, xattrs);
    case 'file':
      return makeFile(path, walked, xattrs, { size, checksum, contentDigest }, inode);
    case 'symlink':
      return makeSymlink(path, walked, xattrs, { target: must(target, path), checksum }, inode);
  }
}
