/** Writing all bytes to an open file. */
import { writeSync } from 'node:fs';

/** Writes all of `bytes` at the file's position: one call of write(2) may write fewer than it is given. */
export function writeFully(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    at += writeSync(fd, bytes, at);
  }
}
