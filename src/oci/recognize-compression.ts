/** Tells how a file is compressed by its first bytes, where no media type states it. */
import { OstrataError } from '../errors.js';
import type { LayerCompression } from './media-types.js';

/** How many of the first bytes are needed. */
export const MAGIC_SIZE = 6;

/** The first bytes of files that can be read. */
const KNOWN: readonly (readonly [magic: string, name: LayerCompression])[] = [
  ['1f8b', 'gzip'],
  ['28b52ffd', 'zstd'],
  // A skippable frame; pzstd and other programs begin a file with one of these.
  ['502a4d18', 'zstd'],
  ['5e2a4d18', 'zstd'],
];
/** The first bytes of other files, and what decompresses them to standard output. */
const UNKNOWN: readonly (readonly [magic: string, name: string, command: string])[] = [
  ['fd377a585a00', 'xz', 'xz -dc'],
  ['5d0000', 'lzma', 'xz -dc'],
  ['425a68', 'bzip2', 'bzip2 -dc'],
  ['04224d18', 'lz4', 'lz4 -dc'],
  ['4c5a4950', 'lzip', 'lzip -dc'],
  ['1f9d', 'compress', 'gzip -dc'],
];

/**
 * Returns how a file with these first bytes is compressed. Throws `UNSUPPORTED`, with the command
 * that decompresses it, if that is a way that cannot be read.
 */
export function recognizeCompression(head: Uint8Array): LayerCompression {
  const hex = Buffer.from(head).toString('hex');
  const known = KNOWN.find(([magic]) => hex.startsWith(magic));
  if (known !== undefined) {
    return known[1];
  }
  const unknown = UNKNOWN.find(([magic]) => hex.startsWith(magic));
  if (unknown !== undefined) {
    const [, name, command] = unknown;
    throw new OstrataError(
      'UNSUPPORTED',
      `is compressed by ${name}; decompress it first, e.g. by \`${command}\` and a pipe`,
    );
  }
  return 'none';
}
