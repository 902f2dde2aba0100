/** Makes tiny zstd streams of huge content by hand (RFC 8878): blocks that repeat one byte. */

/** Magic, and a frame header without content size and checksum whose window is 128 KiB. */
const FRAME_START = Buffer.from('28b52ffd0038', 'hex');
const MAX_BLOCK_CONTENT = 128 << 10;

const BLOCK_RAW = 0;
const BLOCK_RLE = 1;

function block(isLast: boolean, type: number, size: number, content: Uint8Array): Buffer {
  const header = Buffer.alloc(3);
  header.writeUIntLE(Number(isLast) | (type << 1) | (size << 3), 0, 3);
  return Buffer.concat([header, content]);
}

/**
 * Returns a frame of `start`, `zeros` bytes of zero, and `end`.
 * @param zeros a multiple of 128 KiB; each 128 KiB take four bytes
 * @param start up to 128 KiB, as `end`
 */
export function zstdOfZeros(start: Uint8Array, zeros: number, end: Uint8Array): Buffer {
  const zeroBlock = block(false, BLOCK_RLE, MAX_BLOCK_CONTENT, Buffer.alloc(1));
  return Buffer.concat([
    FRAME_START,
    block(false, BLOCK_RAW, start.length, start),
    Buffer.alloc((zeros / MAX_BLOCK_CONTENT) * zeroBlock.length, zeroBlock),
    block(true, BLOCK_RAW, end.length, end),
  ]);
}
