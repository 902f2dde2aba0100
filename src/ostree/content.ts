/**
 * How a repository keeps its content objects: the seam between {@link OstreeRepo} and its modes.
 */
import type { Hash } from 'node:crypto';
import type { BufferSource, ByteStream } from '../bytes/stream.js';
import { OstrataError, wrapError } from '../errors.js';
import { type FileHeader, type FileInfo, startFileChecksum } from './objects/file.js';

/** Reads content objects, without verifying their checksums. */
export interface ContentStore {
  /** Returns the metadata of an object, or undefined if it does not exist. */
  info(checksum: string): FileInfo | undefined;
  /**
   * Reads the content of a regular file.
   * @param buffers memory for the chunks, asked for before each; ignored by stores that inflate
   */
  read(checksum: string, info: FileInfo, buffers?: BufferSource): ByteStream;
}

/**
 * Passes `content` on and checks it. Iterating throws `CORRUPT` as soon as there are more bytes
 * than the object has, and at the end unless size and checksum are those of the object.
 * @param context what errors begin with, e.g. `reading file object 1234 of /repo`
 */
export function verified(
  content: ByteStream,
  info: FileHeader,
  checksum: string,
  context: string,
): ByteStream {
  const check = new ContentCheck(info, checksum);
  return Symbol.iterator in content
    ? verifiedSync(content, check, context)
    : verifiedAsync(content, check, context);
}

/** Throws `CORRUPT` unless a symlink, which has no content, has the checksum of the object. */
export function verifySymlink(info: FileHeader, checksum: string): void {
  new ContentCheck(info, checksum).finish();
}

function* verifiedSync(
  content: Iterable<Uint8Array>,
  check: ContentCheck,
  context: string,
): Iterable<Uint8Array> {
  try {
    for (const chunk of content) {
      check.update(chunk);
      yield chunk;
    }
    check.finish();
  } catch (error) {
    throw wrapError(context, error);
  }
}

async function* verifiedAsync(
  content: AsyncIterable<Uint8Array>,
  check: ContentCheck,
  context: string,
): AsyncIterable<Uint8Array> {
  try {
    for await (const chunk of content) {
      check.update(chunk);
      yield chunk;
    }
    check.finish();
  } catch (error) {
    throw wrapError(context, error);
  }
}

/** Compares content with the size and the checksum of its object. */
class ContentCheck {
  readonly #hash: Hash;
  readonly #size: number;
  readonly #checksum: string;
  #seen = 0;

  constructor(info: FileHeader, checksum: string) {
    this.#hash = startFileChecksum(info);
    this.#size = info.size;
    this.#checksum = checksum;
  }

  update(chunk: Uint8Array): void {
    this.#seen += chunk.length;
    if (this.#seen > this.#size) {
      throw corrupt(`more content than the ${this.#size} bytes that its header states`);
    }
    this.#hash.update(chunk);
  }

  finish(): void {
    if (this.#seen !== this.#size) {
      throw corrupt(`${this.#seen} bytes of content, its header states ${this.#size}`);
    }
    const computed = this.#hash.digest('hex');
    if (computed !== this.#checksum) {
      throw corrupt(`its bytes have the checksum ${computed}`);
    }
  }
}

function corrupt(rule: string): OstrataError {
  return new OstrataError('CORRUPT', rule);
}
