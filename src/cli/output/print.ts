/**
 * All that the command line prints goes through here, because much of it comes from outside: labels
 * of images, names in packages, messages of registries. Whatever could move the cursor, give orders
 * to the terminal, change the order of the text or hide a part of it is shown as an escape instead.
 */
import type { Writable } from 'node:stream';
import { bounded, type ErrorCode } from '../../errors.js';
import { stderrColors } from './colors.js';
import { liveRegion } from './live-region.js';

/**
 * Control characters, line and paragraph separators, halves of surrogate pairs, and format
 * characters: those that reverse the text (U+202A to U+202E, U+2066 to U+2069, U+200E, U+200F,
 * U+061C) or have no width. https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Ends of lines, tabs, and the codes of colors.ts, which are the only ones that may pass. */
const KEPT = new RegExp(`([\n\t]|${'\x1b'}\\[(?:1|2|22|31|33|39)m)`);

/**
 * Returns `text` as one line with all unsafe characters escaped as in JSON: within a string of JSON
 * it stays the same string.
 */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    return escaped === character ? escapedUnits(character) : escaped;
  });
}

/** {@link printable} for text of several lines, whose ends stay. */
export function printableLines(text: string): string {
  const lines = text.split('\n');
  return lines.map(printable).join('\n');
}

/** Prints a report or JSON, and the end of its last line, by default to standard output. */
export function print(text: string, stream: Writable = process.stdout): void {
  const report = printableReport(text);
  liveRegion.above(() => stream.write(`${report}\n`));
}

/**
 * Writes bytes to standard output as they are, or to a terminal as print does. Returns false if the
 * caller should wait for the event `drain` before it writes more.
 */
export function printBytes(bytes: Buffer): boolean {
  const { stdout } = process;
  if (!stdout.isTTY) {
    return stdout.write(bytes);
  }
  const text = printableReport(bytes.toString());
  return liveRegion.above(() => stdout.write(text));
}

export type MessageKind = 'error' | 'warning' | 'info' | 'note';

let areMessagesJson = false;

/** From now on, messages are lines of JSON, like the progress: see `--progress=json`. */
export function printMessagesAsJson(): void {
  areMessagesJson = true;
}

/**
 * Prints one line with at most 1 kB of message to standard error.
 * @param code of an error
 */
export function printMessage(message: string, kind: MessageKind = 'note', code?: ErrorCode): void {
  if (areMessagesJson) {
    printEvent({ event: kind, code, message: bounded(message) });
    return;
  }
  const line = bounded(printable(message));
  const text = labeled(line, kind, code);
  liveRegion.above(() => process.stderr.write(`${text}\n`));
}

/** Prints a line of JSON to standard error. */
export function printEvent(event: object): void {
  print(JSON.stringify(event), process.stderr);
}

function labeled(line: string, kind: MessageKind, code: ErrorCode | undefined): string {
  switch (kind) {
    case 'error':
      return code === 'CANCELLED' ? line : `${stderrColors.red('error:')} ${line}`;
    case 'warning':
      return `${stderrColors.yellow('warning:')} ${line}`;
    case 'info':
      return stderrColors.dim(line);
    case 'note':
      return line;
  }
}

function printableReport(text: string): string {
  let report = '';
  for (const [i, part] of text.split(KEPT).entries()) {
    const isSeparator = i % 2 === 1;
    report += isSeparator ? part : printable(part);
  }
  return report;
}

function escapedUnits(character: string): string {
  let escaped = '';
  for (const unit of character.split('')) {
    const digits = unit.charCodeAt(0).toString(16);
    escaped += `\\u${digits.padStart(4, '0')}`;
  }
  return escaped;
}
