/**
 * Reads the content of a tree, and the extended attributes of a directory, with several threads:
 * reading and hashing an operating system takes as long as everything else that a build with known
 * layers does.
 */
import { Worker } from 'node:worker_threads';
import { must } from '../errors.js';
import { type Context, startWork } from '../log.js';
import type { FileHeader } from '../ostree/objects/file.js';
import { CHECKSUM_BYTES } from '../ostree/objects/object-name.js';
import { encodeXattrs } from '../ostree/objects/xattr-list.js';
import { runWorkerTask } from '../system/worker-task.js';
import type { ContentLocation, LocatedFile, LocatedTree } from './content-location.js';
import type { WalkedEntry } from './directory-walk.js';
import type { RegularFile } from './tree.js';

/** How a worker is started. */
export interface DigestWorkerData {
  readonly content: ContentLocation;
  /** Names of xattrs that are ignored; a name that ends in a dot is a prefix. */
  readonly ignoredXattrs: readonly string[];
  /** Whether entries also get the digest of their content alone. */
  readonly hasContentDigests: boolean;
}

/** An entry of a directory, and the SELinux label that replaces the one that it has. */
export interface LabeledEntry extends WalkedEntry {
  readonly label?: string | undefined;
}

/** A file whose content alone is hashed, or that is hashed as an object with other metadata. */
export interface FileToHash extends LocatedFile {
  readonly header?: FileHeader | undefined;
}

/** A batch: entries of a directory, or files of a tree. */
export type DigestRequest =
  | { readonly kind: 'entries'; readonly entries: readonly LabeledEntry[] }
  | { readonly kind: 'files'; readonly files: readonly FileToHash[] };

/** What a worker replies for files: SHA-256 of each, {@link CHECKSUM_BYTES}. */
export type ContentReply = Uint8Array;

/** What a worker replies for a batch of entries, each at the position that it has in the batch. */
export interface DigestReply {
  /** {@link CHECKSUM_BYTES} for each entry: the checksum of its content object. */
  readonly checksums: Uint8Array;
  /** {@link CHECKSUM_BYTES} for each entry: SHA-256 of its content. Empty if not asked for. */
  readonly contentDigests: Uint8Array;
  /** For each entry, its extended attributes as `a(ayay)`; equal ones are one array. */
  readonly xattrs: readonly Uint8Array[];
}

/** What the bytes of an entry are; both digests are without meaning for a directory. */
export interface EntryDigests {
  readonly checksum: string;
  readonly contentDigest: string | undefined;
  /** As `a(ayay)`. */
  readonly xattrsBytes: Uint8Array;
}

export interface DigestOptions extends Context {
  /** Largest number of threads, at least 1. */
  readonly jobs: number;
}

/** Limits of a batch: entries, and bytes of content unless it is a single file. */
const BATCH_COUNT = 1024;
const BATCH_SIZE = 64 << 20;

/**
 * Returns what {@link EntryDigests} says for each of `entries`, in their order. Throws `IO` if a
 * file cannot be read or changes while it is read, and `CANCELLED`.
 */
export async function readEntryDigests(
  root: string,
  entries: readonly LabeledEntry[],
  options: DigestOptions & Omit<DigestWorkerData, 'content'>,
): Promise<readonly EntryDigests[]> {
  const content = { kind: 'directory', path: root } as const;
  const { ignoredXattrs, hasContentDigests } = options;
  return readBatches(entries, options, {
    workerData: { content, ignoredXattrs, hasContentDigests },
    request: (batch) => ({ kind: 'entries', entries: batch }),
    unpack,
  });
}

/**
 * Returns SHA-256 of the content of each of `files` (64 hex digits), in their order. Throws
 * `CORRUPT` if the bytes of a file do not match its checksum, `IO` if it cannot be read, and
 * `CANCELLED`.
 */
export function readContentDigests(
  tree: HashedTree,
  files: readonly RegularFile[],
  options: DigestOptions,
): Promise<readonly string[]> {
  const toHash = files.map((file) => ({ file }));
  return readChecksums(tree, toHash, options);
}

/** A file, and the metadata that it gets. */
interface FileWithHeader {
  readonly file: RegularFile;
  /** Undefined for the digest of the content alone. */
  readonly header?: FileHeader;
}

/**
 * Returns the checksums that the content objects of `files` have with their new metadata, in their
 * order. Throws what {@link readContentDigests} throws.
 */
export async function readChecksums(
  { content, fetch }: HashedTree,
  files: readonly FileWithHeader[],
  options: DigestOptions,
): Promise<readonly string[]> {
  if (files.length === 0) {
    return [];
  }
  await fetch?.(files.map(({ file }) => file.checksum));
  const items = files.map(({ file, header }) => ({
    ...locatedFile(file),
    header,
    size: file.size,
  }));
  return readBatches(items, options, {
    workerData: { content, ignoredXattrs: [], hasContentDigests: false },
    request: (batch) => ({ kind: 'files', files: batch }),
    unpack: hexDigests,
  });
}

/** A tree whose files are hashed. */
type HashedTree = Pick<LocatedTree, 'content' | 'fetch'>;

function locatedFile({ path, checksum, ...info }: RegularFile): LocatedFile {
  const xattrsBytes = encodeXattrs(info.xattrs);
  return { path, checksum, info: { ...info, xattrsBytes } };
}

/** What the workers are asked, and what their replies mean. */
interface DigestTask<Item, Reply, Result> {
  readonly workerData: DigestWorkerData;
  readonly request: (batch: readonly Item[]) => DigestRequest;
  readonly unpack: (reply: Reply) => readonly Result[];
}

async function readBatches<Item extends { readonly size: number }, Reply, Result>(
  items: readonly Item[],
  { jobs, log, signal }: DigestOptions,
  { workerData, request, unpack }: DigestTask<Item, Reply, Result>,
): Promise<readonly Result[]> {
  const batches = batchesOf(items);
  const totalSize = items.reduce((sum, { size }) => sum + size, 0);
  const results: (readonly Result[])[] = batches.map(() => []);
  const waiting = batches.entries();
  const work = startWork(log, 'reading files', totalSize);

  const module = new URL('./file-digests-worker.js', import.meta.url);
  const count = Math.max(1, Math.min(jobs, batches.length));
  const workers = Array.from({ length: count }, () => new Worker(module, { workerData }));
  const runWorker = async (worker: Worker) => {
    for (const [i, batch] of waiting) {
      const reply = await runWorkerTask(worker, request(batch), {
        name: 'reading files',
        signal,
        onMessage: (message: Reply) => message,
      });
      results[i] = unpack(reply);
      const readSize = batch.reduce((sum, { size }) => sum + size, 0);
      work.advance(readSize);
    }
  };

  try {
    await Promise.all(workers.map(runWorker));
    work.end();
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return results.flat();
}

function batchesOf<Item extends { readonly size: number }>(
  items: readonly Item[],
): readonly (readonly Item[])[] {
  const batches: Item[][] = [];
  let batch: Item[] = [];
  let size = 0;
  for (const item of items) {
    const isFull = batch.length === BATCH_COUNT || size + item.size > BATCH_SIZE;
    if (batch.length > 0 && isFull) {
      batches.push(batch);
      batch = [];
      size = 0;
    }
    batch.push(item);
    size += item.size;
  }
  batches.push(batch);
  return batches;
}

function unpack({ checksums, contentDigests, xattrs }: DigestReply): readonly EntryDigests[] {
  const checksumTexts = hexDigests(checksums);
  const digestTexts = hexDigests(contentDigests);
  return xattrs.map((xattrsBytes, i) => ({
    checksum: must(checksumTexts[i], 'checksum'),
    contentDigest: digestTexts[i],
    xattrsBytes,
  }));
}

function hexDigests(bytes: Uint8Array): readonly string[] {
  const buffer = Buffer.from(bytes.buffer);
  const count = bytes.length / CHECKSUM_BYTES;
  return Array.from({ length: count }, (_, i) => {
    const start = i * CHECKSUM_BYTES;
    return buffer.toString('hex', start, start + CHECKSUM_BYTES);
  });
}
