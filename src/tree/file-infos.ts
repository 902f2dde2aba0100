/**
 * Reads the metadata of content objects (owner, mode, size, xattrs, symlink target) of a commit:
 * system calls mostly, so two threads read a large commit nearly twice as fast as one.
 *
 * Objects are grouped in batches that both threads see. Each batch is read by the thread that
 * claims it first: the helper while the commit is still being walked, and both after that.
 */
import { Worker } from 'node:worker_threads';
import type { FileInfo } from '../ostree/objects/file.js';
import { type FileInfoColumns, unpackFileInfos } from '../ostree/objects/file-info-columns.js';
import { CHECKSUM_BYTES } from '../ostree/objects/object-name.js';
import type { OstreeRepo } from '../ostree/repo.js';
import { runWorkerTask } from '../system/worker-task.js';

/** Number of objects in a batch. */
const BATCH_COUNT = 512;
/** Number of objects from which a second thread pays off: fewer are read before it has started. */
const WORTH_A_THREAD = 16 * BATCH_COUNT;

/** Objects to be read by one thread; the arrays lie in memory that both threads share. */
export interface InfosBatch {
  /** Position of the first object among all that were added. */
  readonly start: number;
  /** {@link BATCH_COUNT} checksums of {@link CHECKSUM_BYTES} bytes. */
  readonly checksums: Uint8Array;
  /** One word: 1 once a thread has claimed the batch. */
  readonly claimed: Int32Array;
}

/** The objects that the helper has read. */
export interface InfosReply {
  /** Position of each object among all that were added. */
  readonly positions: readonly number[];
  readonly infos: FileInfoColumns;
}

function createBatch(checksums: readonly string[], start: number): InfosBatch {
  const bytes = Buffer.from(new SharedArrayBuffer(CHECKSUM_BYTES * BATCH_COUNT));
  for (const [i, checksum] of checksums.slice(start, start + BATCH_COUNT).entries()) {
    bytes.write(checksum, CHECKSUM_BYTES * i, 'hex');
  }
  return { start, checksums: bytes, claimed: new Int32Array(new SharedArrayBuffer(4)) };
}

/** Calls `read` for each object of a batch, unless the other thread has claimed the batch. */
export function readUnlessClaimed(
  { start, checksums, claimed }: InfosBatch,
  read: (position: number, checksum: string) => void,
): void {
  if (Atomics.exchange(claimed, 0, 1) === 1) {
    return;
  }
  const bytes = Buffer.from(checksums.buffer);
  for (let i = 0; i < BATCH_COUNT; i++) {
    read(start + i, bytes.toString('hex', CHECKSUM_BYTES * i, CHECKSUM_BYTES * (i + 1)));
  }
}

/**
 * Reads the metadata of objects. If they are many, a second thread helps, and begins while objects
 * are still being added.
 */
export class FileInfoReader {
  readonly #repo: OstreeRepo;
  readonly #checksums: string[] = [];
  readonly #batches: InfosBatch[] = [];
  #helper: Worker | undefined;

  constructor(repo: OstreeRepo) {
    this.#repo = repo;
  }

  /** Adds a content object, which must not have been added before. */
  add(checksum: string): void {
    const count = this.#checksums.push(checksum);
    if (count % BATCH_COUNT !== 0) {
      return;
    }
    const batch = createBatch(this.#checksums, count - BATCH_COUNT);
    this.#batches.push(batch);

    if (count === WORTH_A_THREAD) {
      this.#startHelper();
    } else {
      this.#helper?.postMessage(batch);
    }
  }

  /** Returns the metadata of all objects by checksum, in the order in which they were added. */
  async finish(): Promise<Map<string, FileInfo>> {
    const reply = this.#helper && replyOf(this.#helper);

    const infos: (FileInfo | undefined)[] = this.#checksums.map(() => undefined);
    for (const batch of this.#batches) {
      readUnlessClaimed(batch, (position, checksum) => {
        infos[position] = this.#repo.fileInfo(checksum);
      });
    }
    addReply(infos, await reply);

    // The last objects, which do not fill a batch, and those that the helper could not read are
    // read here.
    return new Map(
      this.#checksums.map((checksum, position) => [
        checksum,
        infos[position] ?? this.#repo.fileInfo(checksum),
      ]),
    );
  }

  /** Ends the second thread. Must be called in every case, also after a failure. */
  async close(): Promise<void> {
    await this.#helper?.terminate();
  }

  #startHelper(): void {
    const workerData = this.#repo.path;
    const helper = new Worker(new URL('./file-infos-worker.js', import.meta.url), { workerData });
    helper.on('error', () => {}); // an object that cannot be read fails in `finish`
    for (const batch of this.#batches) {
      helper.postMessage(batch);
    }
    this.#helper = helper;
  }
}

/**
 * Returns what the helper has read; undefined if it failed, and `finish` then reads its objects
 * itself.
 */
async function replyOf(helper: Worker): Promise<InfosReply | undefined> {
  try {
    return await runWorkerTask(helper, 'end', {
      name: 'reading file metadata',
      onMessage: (reply: InfosReply) => reply,
    });
  } catch {
    return undefined;
  }
}

function addReply(infos: (FileInfo | undefined)[], reply: InfosReply | undefined): void {
  if (reply === undefined) {
    return;
  }
  const readInfos = unpackFileInfos(reply.infos);
  for (const [i, position] of reply.positions.entries()) {
    infos[position] = readInfos[i];
  }
}
