/**
 * The output of `ostrata rpmdb`. Names of files need not be UTF-8, so text is a sequence of strings
 * with one character per byte.
 */
import { once } from 'node:events';
import { Option } from 'commander';
import type { OptionGroup } from '../options/groups.js';
import { printable, printBytes } from '../output/print.js';
import { errorInDocument } from '../run.js';
import type { SoundPackages } from './damage.js';

/**
 * What a command prints, part by part: text with one character per byte, or, with `--json`, the
 * values of the document.
 */
export type Output = Iterable<string | object>;

export interface JsonOptions {
  readonly json?: boolean | undefined;
  readonly ndjson?: boolean | undefined;
}

/** Whether a command prints values instead of text. */
export function wantsJson({ json, ndjson }: JsonOptions): boolean {
  return (json ?? ndjson) === true;
}

/** `--json`. */
export const jsonOption: OptionGroup = (command) =>
  command.option('--json', 'print the result as JSON');

/** `--json` and `--ndjson`, for commands that print a list. */
export const jsonListOptions: OptionGroup = (command) => {
  const lines = new Option(
    '--ndjson',
    'print the result as JSON, each element on a line of its own',
  );
  return jsonOption(command).addOption(lines.conflicts('json'));
};

/** Output is written in pieces of about this many bytes. */
const WRITE_SIZE = 1 << 16;

/** Returns the line for a text. */
export function textLine(text: string): string {
  return bytesOf(`${text}\n`);
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

/** The output, and after it an error if packages are missing in it because they are damaged. */
export function* withDamage(output: Output, ...sources: readonly SoundPackages[]): Output {
  yield* output;
  for (const packages of sources) {
    packages.throwIfDamaged();
  }
}

/**
 * The text of a document that is a list. If making a value throws, the list is closed all the same,
 * and the error is its last element.
 */
export function* listDocument(values: Output): Generator<string> {
  let separator = '[';
  try {
    for (const value of values) {
      yield `${separator}${jsonText(value)}`;
      separator = ',';
    }
  } catch (error) {
    if (separator === ',') {
      const element = jsonText(errorInDocument(error));
      yield `,${element}]\n`;
    }
    throw error;
  }
  yield separator === '[' ? '[]\n' : ']\n';
}

/** The text of a document that is an object. If an error follows, it is the member `error`. */
export function* objectDocument(values: Output): Generator<string> {
  const document: object = {};
  try {
    for (const value of values) {
      Object.assign(document, value);
    }
  } catch (error) {
    if (Object.keys(document).length > 0) {
      Object.assign(document, errorInDocument(error));
      yield jsonLine(document);
    }
    throw error;
  }
  yield jsonLine(document);
}

/** Text as it is, and each value as a document on a line of its own. */
export function* linesOf(parts: Output): Generator<string> {
  for (const part of parts) {
    yield typeof part === 'string' ? part : jsonLine(part);
  }
}

function jsonLine(value: object): string {
  return `${jsonText(value)}\n`;
}

function jsonText(value: string | object): string {
  return bytesOf(JSON.stringify(value));
}

/**
 * Writes to standard output. Waits for a slow reader instead of keeping what it has not read. If
 * making a part throws, the parts before it are written all the same.
 */
export async function writeOutput(parts: Iterable<string>): Promise<void> {
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
