/** Writes a tar-diff of version 2, operation by operation. */
import type { FrameStream, NativeZstd } from '../system/native-zstd.js';
import {
  encodeCopy,
  encodeData,
  encodeMagic,
  encodeOpen,
  encodeSeek,
  encodeZstdDict,
} from './operations.js';

/**
 * Window of the stream of operations, as a power of two: 32 MiB. Decoders built on libzstd accept
 * four times as much.
 */
const WINDOW_LOG = 25;
const INPUT_SIZE = 1 << 18;

export interface TarDiffOptions {
  readonly level: number;
  /** Called with the bytes of the tar-diff, which are valid until it returns. */
  readonly write: (bytes: Uint8Array) => void;
}

/** The methods must be called one after the other. */
export class TarDiffWriter {
  readonly #stream: FrameStream;
  readonly #write: (bytes: Uint8Array) => void;
  /** The open file, and the position in it. */
  #path: string | undefined;
  #position = 0;
  readonly #input = Buffer.allocUnsafeSlow(INPUT_SIZE);
  #filled = 0;

  constructor(zstd: NativeZstd, { level, write }: TarDiffOptions) {
    this.#stream = zstd.stream({ level, windowLog: WINDOW_LOG, isLongDistance: true });
    this.#write = write;
    write(encodeMagic());
  }

  /** Writes `size` bytes as they are. */
  async data(size: number, chunks: Iterable<Uint8Array>): Promise<void> {
    if (size === 0) {
      return;
    }
    await this.#push(encodeData(size));
    for (const chunk of chunks) {
      await this.#push(chunk);
    }
  }

  /** Copies `size` bytes at `position` of a file of the old image. */
  async copy(path: string, position: number, size: number): Promise<void> {
    await this.#open(path);
    if (this.#position !== position) {
      await this.#push(encodeSeek(position));
    }
    await this.#push(encodeCopy(size));
    this.#position = position + size;
  }

  /** @param frame one zstd frame whose prefix is a file of the old image */
  async zstdDict(path: string, frame: Uint8Array): Promise<void> {
    await this.#open(path);
    await this.#push(encodeZstdDict(frame.length));
    await this.#push(frame);
    // What the position is then, not all decoders agree upon.
    this.#path = undefined;
  }

  /** @param operations what makes a file from a file of the old image; see edits.ts */
  async edits(path: string, operations: Uint8Array): Promise<void> {
    this.#path = undefined; // so that the position is 0
    await this.#open(path);
    await this.#push(operations);
    this.#path = undefined; // its position is unknown here
  }

  async end(): Promise<void> {
    await this.#flush();
    this.#write(await this.#stream.end());
  }

  /** Frees memory. May be called at any time. */
  close(): void {
    this.#stream.close();
  }

  async #open(path: string): Promise<void> {
    if (this.#path !== path) {
      await this.#push(encodeOpen(path));
      this.#path = path;
      this.#position = 0;
    }
  }

  /** Collects small pieces: each call of the library costs as much as compressing a kilobyte. */
  async #push(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const room = this.#input.length - this.#filled;
      const piece = bytes.subarray(at, at + room);
      this.#input.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === this.#input.length) {
        await this.#flush();
      }
    }
  }

  async #flush(): Promise<void> {
    const output = await this.#stream.write(this.#input.subarray(0, this.#filled));
    this.#filled = 0;
    if (output.length > 0) {
      this.#write(output);
    }
  }
}
