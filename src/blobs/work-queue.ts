/**
 * Where workers without a layer of their own help the others: the writer of a layer puts blocks on the board, anyone
 * takes and compresses them, the writer collects them in its order. It is memory shared by all workers: some words,
 *
 *     work     counts up whenever there may be something to take
 *     helpers  workers that have nothing else to do
 *     closed   1 once there is nothing left to help with
 *
 * and slots, each with its state (below), three lengths, and room for a block, the bytes before it, and its
 * compressed form. Writers wait for nobody but a helper that is at work on their block.
 */
import type { Compressor } from './compress.js';

const [WORK, HELPERS, CLOSED, WORDS] = [0, 1, 2, 3];
/** What a slot's words say; the state goes through these in order and begins again. */
const [STATE, BLOCK_LENGTH, BEFORE_LENGTH, OUTPUT_LENGTH, SLOT_WORDS] = [0, 1, 2, 3, 4];
const [FREE, FILLED, TAKEN, DONE] = [0, 1, 2, 3];

/** A block in the hands of one worker, one waiting: enough that nobody runs dry. */
const SLOTS_PER_WORKER = 2;
/** What no compressor's worst case exceeds: 1/64 of the block, and a constant for small ones. */
const outputRoom = (blockSize: number) => blockSize + (blockSize >> 6) + 1024;

export interface WorkQueueMemory {
  readonly words: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
}

type Sizes = Pick<Compressor, 'blockSize' | 'window'>;
const slotSize = ({ blockSize, window }: Sizes) => window + blockSize + outputRoom(blockSize);

/** Room for what `workers` workers may have in work. Pages that are never used take no memory. */
export function createWorkQueue(sizes: Sizes, workers: number): WorkQueueMemory {
  const slots = workers * SLOTS_PER_WORKER;
  return {
    words: new SharedArrayBuffer(4 * (WORDS + slots * SLOT_WORDS)),
    bytes: new SharedArrayBuffer(slots * slotSize(sizes)),
  };
}

/** Ends the help of all helpers, now and from now on. */
export function closeWorkQueue({ words: memory }: WorkQueueMemory): void {
  const words = new Int32Array(memory);
  Atomics.store(words, CLOSED, 1);
  Atomics.add(words, WORK, 1);
  Atomics.notify(words, WORK);
}

/** A slot that its writer has filled. */
export type Slot = number;
const word = (slot: Slot, which: number) => WORDS + slot * SLOT_WORDS + which;

/** One worker's access to the board. A slot belongs to its writer from `put` to `collect`. */
export class SharedWorkQueue {
  readonly #compressor: Compressor;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #slots: readonly Slot[];

  constructor(memory: WorkQueueMemory, compressor: Compressor) {
    this.#compressor = compressor;
    this.#words = new Int32Array(memory.words);
    this.#bytes = new Uint8Array(memory.bytes);
    this.#slots = Array.from(
      { length: (this.#words.length - WORDS) / SLOT_WORDS },
      (_, slot) => slot,
    );
  }

  get hasHelpers(): boolean {
    return Atomics.load(this.#words, HELPERS) > 0;
  }

  /** Puts a block up, copied; undefined if there is no room. */
  submit(block: Uint8Array, before: Uint8Array): Slot | undefined {
    const slot = this.#slots.find((each) => this.#change(each, FREE, TAKEN));
    if (slot === undefined) {
      return undefined;
    }
    const { beforeAt, blockAt } = this.#places(slot);
    this.#bytes.set(before, beforeAt);
    this.#bytes.set(block, blockAt);
    this.#words[word(slot, BEFORE_LENGTH)] = before.length;
    this.#words[word(slot, BLOCK_LENGTH)] = block.length;
    this.#set(slot, FILLED);
    Atomics.add(this.#words, WORK, 1);
    Atomics.notify(this.#words, WORK, 1);
    return slot;
  }

  /** The compressed form of the first of `mine`, all put up by the caller, whose block is free again. Works on others of them while a helper has it. */
  awaitFirst(mine: readonly Slot[]): Uint8Array {
    const slot = mine[0] as Slot;
    while (Atomics.load(this.#words, word(slot, STATE)) !== DONE) {
      if (!this.#compressOneOf(mine)) {
        Atomics.wait(this.#words, word(slot, STATE), TAKEN);
      }
    }
    const { outputAt } = this.#places(slot);
    const length = this.#words[word(slot, OUTPUT_LENGTH)] as number;
    const output = this.#bytes.slice(outputAt, outputAt + length);
    this.#set(slot, FREE);
    return Buffer.from(output.buffer);
  }

  /** Compresses whatever is put up until the board is closed. */
  workUntilClosed(): void {
    Atomics.add(this.#words, HELPERS, 1);
    for (;;) {
      const seen = Atomics.load(this.#words, WORK);
      if (Atomics.load(this.#words, CLOSED) === 1) {
        return;
      }
      if (!this.#compressOneOf(this.#slots)) {
        Atomics.wait(this.#words, WORK, seen);
      }
    }
  }

  #compressOneOf(slots: readonly Slot[]): boolean {
    const slot = slots.find((each) => this.#change(each, FILLED, TAKEN));
    if (slot === undefined) {
      return false;
    }
    const { beforeAt, blockAt, outputAt } = this.#places(slot);
    const copy = (at: number, lengthWord: number) =>
      new Uint8Array(
        this.#bytes.subarray(at, at + (this.#words[word(slot, lengthWord)] as number)),
      );
    const output = this.#compressor.compress(
      copy(blockAt, BLOCK_LENGTH),
      copy(beforeAt, BEFORE_LENGTH),
    );
    this.#bytes.set(output, outputAt);
    this.#words[word(slot, OUTPUT_LENGTH)] = output.length;
    this.#set(slot, DONE);
    return true;
  }

  #places(slot: Slot) {
    const { blockSize, window } = this.#compressor;
    const beforeAt = slot * slotSize(this.#compressor);
    return { beforeAt, blockAt: beforeAt + window, outputAt: beforeAt + window + blockSize };
  }

  #change(slot: Slot, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, word(slot, STATE), from, to) === from;
  }

  /** Makes all that was written to the slot visible to whoever sees the new state. */
  #set(slot: Slot, state: number): void {
    Atomics.store(this.#words, word(slot, STATE), state);
    Atomics.notify(this.#words, word(slot, STATE));
  }
}
