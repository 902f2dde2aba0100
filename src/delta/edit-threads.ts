/** Threads that compare a file of a new layer with one of the old image, byte by byte. */
import { Worker } from 'node:worker_threads';
import { encodeXattrs } from '../ostree/objects/xattr-list.js';
import { runWorkerTask } from '../system/worker-task.js';
import type { Edits } from '../tar-diff/edits.js';
import type { SearchEffort } from '../tar-diff/seed-index.js';
import type { ContentLocation, LocatedFile, LocatedTree } from '../tree/content-location.js';
import type { RegularFile } from '../tree/tree.js';

/** Limit for either file, in bytes: what an `add-data` may have. */
export const MAX_EDITED_SIZE = 100 << 20;

/** Where the content of a new file is: a part of a tar. */
export interface NewContent {
  readonly tar: string;
  readonly offset: number;
  readonly size: number;
}

/** What a thread is started with: where the old image is. */
export type EditWorkerData = ContentLocation;

export interface EditRequest {
  readonly old: LocatedFile;
  readonly content: NewContent;
  readonly effort: SearchEffort;
}

/** Starts a thread when it is needed. {@link close} must be called in every case. */
export class EditThreads {
  readonly #tree: LocatedTree;
  readonly #idle: Worker[] = [];
  readonly #workers: Worker[] = [];

  /** @param tree the old image */
  constructor(tree: LocatedTree) {
    this.#tree = tree;
  }

  /** Returns the edits that make the new content out of an old file of the tree. */
  async edits(
    { path, checksum, ...info }: RegularFile,
    content: NewContent,
    {
      effort,
      signal,
    }: { readonly effort: SearchEffort; readonly signal?: AbortSignal | undefined },
  ): Promise<Edits> {
    await this.#tree.fetch?.([checksum]);
    const old = { path, checksum, info: { ...info, xattrsBytes: encodeXattrs(info.xattrs) } };
    const request: EditRequest = { old, content, effort };
    const worker = this.#idle.pop() ?? this.#start();
    const edits = await runWorkerTask(worker, request, {
      name: 'comparing files',
      signal,
      onMessage: (reply: Edits) => reply,
    });
    this.#idle.push(worker);
    return edits;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #start(): Worker {
    const workerData: EditWorkerData = this.#tree.content;
    const worker = new Worker(new URL('./edit-worker.js', import.meta.url), { workerData });
    this.#workers.push(worker);
    return worker;
  }
}
