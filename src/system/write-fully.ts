/** Writes all bytes to an open file. */
import { writeSync } from 'node:fs';

/** Writes all of `bytes` at the file's position. A single write(2) may write fewer than given. */
export function writeFully(fd: number, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(fd, bytes, written);
  }
}
