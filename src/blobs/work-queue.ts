/**
 * A queue of blocks in memory that all workers share. The writer of a blob submits its blocks, any
 * idle worker takes and compresses them, and the writer collects the results in the order of its
 * blocks. A writer waits only for a block that another worker is compressing right now; blocks that
 * nobody has taken it compresses itself. So there is no deadlock, whatever the number of workers.
 *
 * Memory. `words` are 32-bit integers, read and written by Atomics:
 *
 *     WORK_COUNT    counts up when there may be something to take; idle workers sleep on it
 *     IDLE_WORKERS  number of workers that take blocks; it never falls
 *     CLOSED        1 once no more blocks will be submitted
 *     then for each entry of the queue:
 *     STATE         see below; the writer of a block sleeps on it
 *     BLOCK_LENGTH, WINDOW_LENGTH, OUTPUT_LENGTH
 *
 * `bytes` has three areas for each entry: window (the bytes before the block), block, output (the
 * compressed block).
 *
 * An entry goes through these states again and again. Whoever changes it from FREE or READY, by
 * compare-and-exchange, owns it until the next change.
 *
 *     FREE         -> FILLING      by a writer that submits a block
 *     FILLING      -> READY        by that writer, once the block is copied
 *     READY        -> COMPRESSING  by an idle worker, or by the writer itself
 *     COMPRESSING  -> DONE         by the same, once the output is copied
 *     DONE         -> FREE         by the writer, once it has the output
 */
import { must } from '../errors.js';
import { release } from '../system/memory.js';
import type { Compressor } from './compress.js';

const [WORK_COUNT, IDLE_WORKERS, CLOSED, QUEUE_WORDS] = [0, 1, 2, 3];
const [STATE, BLOCK_LENGTH, WINDOW_LENGTH, OUTPUT_LENGTH, ENTRY_WORDS] = [0, 1, 2, 3, 4];
const [FREE, FILLING, READY, COMPRESSING, DONE] = [0, 1, 2, 3, 4];
const WORD_SIZE = Int32Array.BYTES_PER_ELEMENT;

/**
 * While one block is being compressed, the next one is waiting: enough that no worker runs out of
 * work.
 */
const ENTRIES_PER_WORKER = 2;

/** The memory of a queue, to be posted to workers. */
export interface WorkQueueMemory {
  readonly words: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
}

type BlockSizes = Pick<Compressor, 'blockSize' | 'windowSize'>;

/**
 * Returns a size that no compressed block exceeds: 1/64 more than the block, and a constant for
 * small blocks.
 */
function maxOutputSize(blockSize: number): number {
  return blockSize + (blockSize >> 6) + 1024;
}

/** Returns the size of the three areas of one entry together. */
function entrySize({ blockSize, windowSize }: BlockSizes): number {
  return windowSize + blockSize + maxOutputSize(blockSize);
}

/**
 * Makes a queue for `workerCount` workers. The operating system allocates only those pages of its
 * memory that are used.
 */
export function createWorkQueue(sizes: BlockSizes, workerCount: number): WorkQueueMemory {
  const entryCount = workerCount * ENTRIES_PER_WORKER;
  return {
    words: new SharedArrayBuffer(WORD_SIZE * (QUEUE_WORDS + entryCount * ENTRY_WORDS)),
    bytes: new SharedArrayBuffer(entryCount * entrySize(sizes)),
  };
}

/**
 * Ends {@link SharedWorkQueue.workUntilClosed} in all workers; a worker that calls it later returns
 * at once.
 */
export function closeWorkQueue(memory: WorkQueueMemory): void {
  const words = new Int32Array(memory.words);
  Atomics.store(words, CLOSED, 1);
  Atomics.add(words, WORK_COUNT, 1);
  Atomics.notify(words, WORK_COUNT);
}

/** Number of an entry of the queue. */
export type QueueEntry = number;

/** Returns the index of a word of an entry in `words`. */
function wordOf(entry: QueueEntry, word: number): number {
  return QUEUE_WORDS + entry * ENTRY_WORDS + word;
}

/** One worker's access to the queue. */
export class SharedWorkQueue {
  readonly #compressor: Compressor;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #entries: readonly QueueEntry[];
  #lastOutput: Uint8Array = new Uint8Array();

  constructor(memory: WorkQueueMemory, compressor: Compressor) {
    this.#compressor = compressor;
    this.#words = new Int32Array(memory.words);
    this.#bytes = new Uint8Array(memory.bytes);
    const entryCount = (this.#words.length - QUEUE_WORDS) / ENTRY_WORDS;
    this.#entries = Array.from({ length: entryCount }, (_, entry) => entry);
  }

  /** Whether blocks that are submitted are likely to be taken by other workers. */
  get hasIdleWorkers(): boolean {
    return Atomics.load(this.#words, IDLE_WORKERS) > 0;
  }

  /**
   * Copies a block into the queue. The entry belongs to the caller until {@link awaitFirst}.
   * Returns undefined if the queue is full.
   */
  submit(block: Uint8Array, window: Uint8Array): QueueEntry | undefined {
    const entry = this.#entries.find((each) => this.#changeState(each, FREE, FILLING));
    if (entry === undefined) {
      return undefined;
    }
    const { windowAt, blockAt } = this.#areasOf(entry);
    this.#bytes.set(window, windowAt);
    this.#bytes.set(block, blockAt);
    this.#words[wordOf(entry, WINDOW_LENGTH)] = window.length;
    this.#words[wordOf(entry, BLOCK_LENGTH)] = block.length;
    this.#setState(entry, READY);

    Atomics.add(this.#words, WORK_COUNT, 1);
    Atomics.notify(this.#words, WORK_COUNT, 1);
    return entry;
  }

  /**
   * Returns the compressed block of the first of `submitted`, all entries of the caller, and frees
   * the entry. It is valid until the next call. While another worker compresses it, this one
   * compresses the caller's other blocks.
   */
  awaitFirst(submitted: readonly QueueEntry[]): Uint8Array {
    const entry = must(submitted[0], 'a submitted block');
    while (Atomics.load(this.#words, wordOf(entry, STATE)) !== DONE) {
      if (!this.#compressOneOf(submitted)) {
        Atomics.wait(this.#words, wordOf(entry, STATE), COMPRESSING);
      }
    }
    const { outputAt } = this.#areasOf(entry);
    release(this.#lastOutput);
    this.#lastOutput = this.#copy(outputAt, this.#length(entry, OUTPUT_LENGTH));
    this.#setState(entry, FREE);
    return this.#lastOutput;
  }

  /** Compresses the blocks that others submit, until the queue is closed. */
  workUntilClosed(): void {
    Atomics.add(this.#words, IDLE_WORKERS, 1);
    for (;;) {
      const workCount = Atomics.load(this.#words, WORK_COUNT);
      if (Atomics.load(this.#words, CLOSED) === 1) {
        return;
      }
      if (!this.#compressOneOf(this.#entries)) {
        // Returns at once if something was submitted since the count was read.
        Atomics.wait(this.#words, WORK_COUNT, workCount);
      }
    }
  }

  /** Returns false if none of `entries` is ready. */
  #compressOneOf(entries: readonly QueueEntry[]): boolean {
    const entry = entries.find((each) => this.#changeState(each, READY, COMPRESSING));
    if (entry === undefined) {
      return false;
    }
    const { windowAt, blockAt, outputAt } = this.#areasOf(entry);
    const block = this.#copy(blockAt, this.#length(entry, BLOCK_LENGTH));
    const window = this.#copy(windowAt, this.#length(entry, WINDOW_LENGTH));
    const output = this.#compressor.compress(block, window);
    this.#bytes.set(output, outputAt);
    this.#words[wordOf(entry, OUTPUT_LENGTH)] = output.length;
    release(block); // last, because without compression the output is the block
    this.#setState(entry, DONE);
    return true;
  }

  #length(entry: QueueEntry, word: number): number {
    return this.#words[wordOf(entry, word)] ?? 0;
  }

  /**
   * Copies bytes out of shared memory, because not every library accepts views of shared memory.
   */
  #copy(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(at, at + length));
  }

  /** Where the areas of an entry begin in `bytes`. */
  #areasOf(entry: QueueEntry) {
    const { blockSize, windowSize } = this.#compressor;
    const windowAt = entry * entrySize(this.#compressor);
    const blockAt = windowAt + windowSize;
    return { windowAt, blockAt, outputAt: blockAt + blockSize };
  }

  /** Returns whether the entry was in the state `from`. */
  #changeState(entry: QueueEntry, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, wordOf(entry, STATE), from, to) === from;
  }

  /**
   * Sets the state atomically: whoever sees the new state also sees everything that was written to
   * the entry before.
   */
  #setState(entry: QueueEntry, state: number): void {
    Atomics.store(this.#words, wordOf(entry, STATE), state);
    Atomics.notify(this.#words, wordOf(entry, STATE));
  }
}
