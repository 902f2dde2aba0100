import { Worker } from 'node:worker_threads';
import { type FileInfo, fileType } from '../ostree/objects/file.js';
import { CHECKSUM_BYTES } from '../ostree/objects/object-name.js';
import { XattrsInterner } from '../ostree/objects/xattr-list.js';
import type { OstreeRepo } from '../ostree/repo.js';

/** Objects that a thread takes at once. */
const BATCH = 512;
/** Fewer objects are read before a thread has started. */
const WORTH_A_THREAD = 16 * BATCH;

/** Some objects that are to be read, in memory of both threads. */
export interface InfosBatch {
  /** Where the first of them is among all. */
  readonly start: number;
  /** {@link CHECKSUM_BYTES} each. */
  readonly checksums: Uint8Array;
  /** One word: 1 once a thread has taken them. */
  readonly taken: Int32Array;
}
/** What a thread has read, in columns: to send an object for each would take as long as to read it. */
export interface InfosReply {
  /** Where each object is among all. */
  readonly at: readonly number[];
  /** uid, gid, mode, size and index of the xattrs, of each. */
  readonly numbers: readonly number[];
  /** Of the symlinks. */
  readonly targets: readonly string[];
  /** Serialised, each once. */
  readonly xattrs: readonly Uint8Array[];
}

function batchOf(checksums: readonly string[], start: number): InfosBatch {
  const bytes = Buffer.from(new SharedArrayBuffer(CHECKSUM_BYTES * BATCH));
  for (let i = 0; i < BATCH; i++) {
    bytes.write(checksums[start + i] as string, CHECKSUM_BYTES * i, 'hex');
  }
  return { start, checksums: bytes, taken: new Int32Array(new SharedArrayBuffer(4)) };
}

/** Calls `read` with the place and the checksum of each object, unless another thread has taken them. */
export function readUntaken(
  { start, checksums, taken }: InfosBatch,
  read: (at: number, checksum: string) => void,
): void {
  if (Atomics.exchange(taken, 0, 1) === 1) {
    return;
  }
  const bytes = Buffer.from(checksums.buffer);
  for (let i = 0; i < BATCH; i++) {
    read(start + i, bytes.toString('hex', CHECKSUM_BYTES * i, CHECKSUM_BYTES * (i + 1)));
  }
}

/**
 * Reads what is known of the content objects of a commit: system calls mostly. Of many objects a second thread begins while
 * they are still being added; then this one reads what is left too.
 */
export class FileInfoReader {
  readonly #repo: OstreeRepo;
  readonly #checksums: string[] = [];
  readonly #batches: InfosBatch[] = [];
  #helper: Worker | undefined;

  constructor(repo: OstreeRepo) {
    this.#repo = repo;
  }

  /** @param checksum not added before */
  add(checksum: string): void {
    const count = this.#checksums.push(checksum);
    if (count % BATCH !== 0) {
      return;
    }
    const batch = batchOf(this.#checksums, count - BATCH);
    this.#batches.push(batch);
    if (count === WORTH_A_THREAD) {
      this.#startHelper();
    } else {
      this.#helper?.postMessage(batch);
    }
  }

  /** Of all that were added, in that order. */
  async finish(): Promise<Map<string, FileInfo>> {
    const reply = this.#helper && answerOf(this.#helper);
    const infos: (FileInfo | undefined)[] = this.#checksums.map(() => undefined);
    for (const batch of this.#batches) {
      readUntaken(batch, (at, checksum) => {
        infos[at] = this.#repo.fileInfo(checksum);
      });
    }
    addInfos(infos, await reply);
    // The last few are in no batch; what the helper failed in fails here, or does not.
    return new Map(
      this.#checksums.map((checksum, at) => [checksum, infos[at] ?? this.#repo.fileInfo(checksum)]),
    );
  }

  /** Ends the other thread; to be called whatever happens. */
  async close(): Promise<void> {
    await this.#helper?.terminate();
  }

  #startHelper(): void {
    const workerData = this.#repo.path;
    const helper = new Worker(new URL('./file-infos-worker.js', import.meta.url), { workerData });
    helper.on('error', () => {}); // it ends then
    for (const batch of this.#batches) {
      helper.postMessage(batch);
    }
    this.#helper = helper;
  }
}

/** What the helper has read; undefined where it failed. */
function answerOf(helper: Worker): Promise<InfosReply | undefined> {
  return new Promise((resolve) => {
    helper.on('message', resolve).on('exit', () => resolve(undefined));
    helper.postMessage('end');
  });
}

function addInfos(infos: (FileInfo | undefined)[], reply: InfosReply | undefined): void {
  if (reply === undefined) {
    return;
  }
  const { numbers, xattrs } = reply;
  const targets = reply.targets.values();
  const interner = new XattrsInterner();
  const sets = xattrs.map((bytes) => interner.intern(bytes));
  for (const [i, at] of reply.at.entries()) {
    const [uid, gid, mode, size, set] = numbers.slice(5 * i, 5 * i + 5) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const { xattrs, bytes: xattrsBytes } = sets[set] as (typeof sets)[number];
    const type = fileType(mode);
    const info = { type, uid, gid, mode, size, xattrs, xattrsBytes };
    infos[at] = type === 'file' ? info : { ...info, target: targets.next().value as string };
  }
}
