/**
 * The output of `ostrata rpmdb`. Names of files need not be UTF-8, so output is a sequence of
 * strings with one character per byte.
 */
import { once } from 'node:events';
import { printable, printBytes } from '../output/print.js';

/** Parts of the output, one character per byte. */
export type Output = Iterable<string>;

/** Output is written in pieces of about this many bytes. */
const WRITE_SIZE = 1 << 16;

/** Returns the line for a text. */
export function textLine(text: string): string {
  return bytesOf(`${text}\n`);
}

/** Returns the line for a value, as JSON. */
export function jsonLine(value: object): string {
  return textLine(JSON.stringify(value));
}

/**
 * Returns the line for a path: its exact bytes, but escaped for a terminal, so that it cannot move
 * the cursor.
 */
export function pathLine(path: Uint8Array): string {
  const bytes = Buffer.from(path);
  return process.stdout.isTTY
    ? textLine(printable(bytes.toString()))
    : `${bytes.toString('latin1')}\n`;
}

function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/**
 * Writes to standard output. Waits for a slow reader instead of keeping what it has not read. If
 * making a part throws, the parts before it are written all the same.
 */
export async function writeOutput(parts: Output): Promise<void> {
  let pending: string[] = [];
  let size = 0;
  try {
    for (const part of parts) {
      pending.push(part);
      size += part.length;
      if (size >= WRITE_SIZE) {
        await writeBytes(pending.join(''));
        pending = [];
        size = 0;
      }
    }
  } finally {
    await writeBytes(pending.join(''));
  }
}

async function writeBytes(bytes: string): Promise<void> {
  const isTaken = printBytes(Buffer.from(bytes, 'latin1'));
  if (!isTaken) {
    await once(process.stdout, 'drain');
  }
}
