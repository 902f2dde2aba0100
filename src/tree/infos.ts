import { Worker } from 'node:worker_threads';
import { type FileInfo, fileType } from '../ostree/file.js';
import { CHECKSUM_BYTES } from '../ostree/objects.js';
import type { OstreeRepo } from '../ostree/repo.js';
import { XattrsInterner } from '../ostree/xattrlist.js';

/** Fewer objects are read before a thread has started. */
const WORTH_A_THREAD = 8192;
/** Objects that a thread takes at once. */
const BATCH = 512;

/** Memory of both threads: copies of a million checksums would take more than all that is read. */
export interface InfosRequest {
  readonly repoPath: string;
  /** {@link CHECKSUM_BYTES} each. */
  readonly checksums: Uint8Array;
  /** One word: how many of them a thread has taken. */
  readonly taken: Int32Array;
}
/** What a thread has read, in columns: to send an object for each would take as long as to read it. */
export interface InfosReply {
  /** Where each object is among the checksums. */
  readonly at: readonly number[];
  /** uid, gid, mode, size and index of the xattrs, of each. */
  readonly numbers: readonly number[];
  /** Of the symlinks. */
  readonly targets: readonly string[];
  /** Serialised, each once. */
  readonly xattrs: readonly Uint8Array[];
}

/** Calls `read` with the place and the checksum of each object that no other thread has taken. */
export function readUntaken({ checksums, taken }: InfosRequest, read: (at: number, checksum: string) => void): void {
  const bytes = Buffer.from(checksums.buffer);
  const count = bytes.length / CHECKSUM_BYTES;
  for (let start = Atomics.add(taken, 0, BATCH); start < count; start = Atomics.add(taken, 0, BATCH))
    for (let at = start; at < Math.min(start + BATCH, count); at++)
      read(at, bytes.toString('hex', CHECKSUM_BYTES * at, CHECKSUM_BYTES * (at + 1)));
}

/** Reads what is known of the content objects of a commit: system calls mostly, of many objects in a second thread too. */
export class InfoReader {
  readonly #repo: OstreeRepo;
  readonly #checksums: string[] = [];
  #helper: Worker | undefined;

  constructor(repo: OstreeRepo) {
    this.#repo = repo;
  }

  /** @param checksum not added before */
  add(checksum: string): void {
    if (this.#checksums.push(checksum) === WORTH_A_THREAD)
      this.#helper = new Worker(new URL('./infos-worker.js', import.meta.url)).on('error', () => {}); // it ends then
  }

  /** Of all that were added, in that order. */
  async finish(): Promise<Map<string, FileInfo>> {
    const added = this.#checksums;
    const checksums = Buffer.from(new SharedArrayBuffer(CHECKSUM_BYTES * added.length));
    for (const [at, checksum] of added.entries()) checksums.write(checksum, CHECKSUM_BYTES * at, 'hex');
    const request = { repoPath: this.#repo.path, checksums, taken: new Int32Array(new SharedArrayBuffer(4)) };
    const reply = this.#helper && ask(this.#helper, request);
    const infos: (FileInfo | undefined)[] = added.map(() => undefined);
    readUntaken(request, (at, checksum) => {
      infos[at] = this.#repo.fileInfo(checksum);
    });
    addInfos(infos, await reply);
    // What the helper failed in fails here, or does not.
    return new Map(added.map((checksum, at) => [checksum, infos[at] ?? this.#repo.fileInfo(checksum)]));
  }

  /** Ends the other thread; to be called whatever happens. */
  async close(): Promise<void> {
    await this.#helper?.terminate();
  }
}

/** Undefined where the helper failed. */
function ask(helper: Worker, request: InfosRequest): Promise<InfosReply | undefined> {
  return new Promise((resolve) => {
    helper.on('message', resolve).on('exit', () => resolve(undefined));
    helper.postMessage(request);
  });
}

function addInfos(infos: (FileInfo | undefined)[], reply: InfosReply | undefined): void {
  if (reply === undefined) return;
  const { numbers, xattrs } = reply;
  const targets = reply.targets.values();
  const interner = new XattrsInterner();
  const sets = xattrs.map((bytes) => interner.intern(bytes));
  for (const [i, at] of reply.at.entries()) {
    const [uid, gid, mode, size, set] = numbers.slice(5 * i, 5 * i + 5) as [number, number, number, number, number];
    const { xattrs, bytes: xattrsBytes } = sets[set] as (typeof sets)[number];
    const type = fileType(mode);
    const info = { type, uid, gid, mode, size, xattrs, xattrsBytes };
    infos[at] = type === 'file' ? info : { ...info, target: targets.next().value as string };
  }
}
