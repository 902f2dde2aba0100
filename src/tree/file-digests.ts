/**
 * Reads the content and the extended attributes of the files of a directory with several threads:
 * reading and hashing an operating system takes as long as everything else that a build with known
 * layers does.
 */
import { Worker } from 'node:worker_threads';
import type { Context } from '../log.js';
import { CHECKSUM_BYTES } from '../ostree/objects/object-name.js';
import { runWorkerTask } from '../system/worker-task.js';
import type { WalkedEntry } from './directory-walk.js';

/** How a worker is started. */
export interface DigestWorkerData {
  /** The directory that paths begin in. */
  readonly root: string;
  /** Names of xattrs that are ignored; a name that ends in a dot is a prefix. */
  readonly ignoredXattrs: readonly string[];
}

/** What a worker replies for a batch of entries, each at the position that it has in the batch. */
export interface DigestReply {
  /** {@link CHECKSUM_BYTES} for each entry: the checksum of its content object. */
  readonly checksums: Uint8Array;
  /** {@link CHECKSUM_BYTES} for each entry: SHA-256 of its content. */
  readonly contentDigests: Uint8Array;
  /** For each entry, its extended attributes as `a(ayay)`; equal ones are one array. */
  readonly xattrs: readonly Uint8Array[];
}

/** What the bytes of an entry are; both digests are without meaning for a directory. */
export interface EntryDigests {
  readonly checksum: string;
  readonly contentDigest: string;
  /** As `a(ayay)`. */
  readonly xattrsBytes: Uint8Array;
}

export interface DigestOptions extends Context, Omit<DigestWorkerData, 'root'> {
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
  entries: readonly WalkedEntry[],
  { jobs, ignoredXattrs, log, signal }: DigestOptions,
): Promise<readonly EntryDigests[]> {
  const batches = batchesOf(entries);
  const totalSize = entries.reduce((sum, { size }) => sum + size, 0);
  const results: EntryDigests[][] = batches.map(() => []);
  const waiting = batches.entries();
  let readSize = 0;

  const workerData: DigestWorkerData = { root, ignoredXattrs };
  const module = new URL('./file-digests-worker.js', import.meta.url);
  const count = Math.max(1, Math.min(jobs, batches.length));
  const workers = Array.from({ length: count }, () => new Worker(module, { workerData }));
  const runWorker = async (worker: Worker) => {
    for (const [i, batch] of waiting) {
      const reply = await runWorkerTask(worker, batch, {
        name: 'reading files',
        signal,
        onMessage: (message: DigestReply) => message,
      });
      results[i] = unpack(reply);
      readSize += batch.reduce((sum, { size }) => sum + size, 0);
      log.progress('reading files', readSize, totalSize);
    }
  };

  try {
    await Promise.all(workers.map(runWorker));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return results.flat();
}

function batchesOf(entries: readonly WalkedEntry[]): readonly (readonly WalkedEntry[])[] {
  const batches: WalkedEntry[][] = [];
  let batch: WalkedEntry[] = [];
  let size = 0;
  for (const entry of entries) {
    const isFull = batch.length === BATCH_COUNT || size + entry.size > BATCH_SIZE;
    if (batch.length > 0 && isFull) {
      batches.push(batch);
      batch = [];
      size = 0;
    }
    batch.push(entry);
    size += entry.size;
  }
  batches.push(batch);
  return batches;
}

function unpack({ checksums, contentDigests, xattrs }: DigestReply): EntryDigests[] {
  const checksumHex = Buffer.from(checksums.buffer);
  const digestHex = Buffer.from(contentDigests.buffer);
  return xattrs.map((xattrsBytes, i) => {
    const start = i * CHECKSUM_BYTES;
    const end = start + CHECKSUM_BYTES;
    return {
      checksum: checksumHex.toString('hex', start, end),
      contentDigest: digestHex.toString('hex', start, end),
      xattrsBytes,
    };
  });
}
