/** Reads the text of a PCRE2 pattern, and the escapes that stand inside and outside of classes. */
import { OstrataError } from '../errors.js';
import { BYTE_ESCAPES, type ByteSet, CLASS_ESCAPES } from './byte-set.js';

/** Reads a pattern from left to right. Its errors name the pattern and an offset in it. */
export class PatternReader {
  readonly #source: string;
  readonly #text: string;
  offset = 0;

  constructor(source: string) {
    this.#source = source;
    this.#text = `^${source}$`;
  }

  get isAtEnd(): boolean {
    return this.offset >= this.#text.length;
  }

  startsWith(text: string): boolean {
    return this.#text.startsWith(text, this.offset);
  }

  /** Moves past `text` if it comes next, and returns whether it did. */
  skip(text: string): boolean {
    const isNext = this.startsWith(text);
    if (isNext) {
      this.offset += text.length;
    }
    return isNext;
  }

  /** Moves past what `expression`, which is sticky, matches; returns the match. */
  match(expression: RegExp): RegExpExecArray | undefined {
    expression.lastIndex = this.offset;
    const match = expression.exec(this.#text) ?? undefined;
    this.offset += match?.[0].length ?? 0;
    return match;
  }

  /** Returns the next character; '' at the end. */
  next(): string {
    return this.#text.charAt(this.offset++);
  }

  /** Returns the byte of a character; file contexts are ASCII. */
  nextByte(): number {
    return this.next().charCodeAt(0);
  }

  corrupt(rule: string): OstrataError {
    return this.#error('CORRUPT', rule);
  }

  unsupported(construct: string): OstrataError {
    return this.#error('UNSUPPORTED', `${construct} is not supported`);
  }

  limit(rule: string): OstrataError {
    return this.#error('LIMIT', rule);
  }

  #error(code: 'CORRUPT' | 'UNSUPPORTED' | 'LIMIT', what: string): OstrataError {
    // The text begins with a `^` that is not part of the file.
    const offset = Math.min(Math.max(this.offset - 1, 0), this.#source.length);
    return new OstrataError(code, `pattern ${this.#source}: ${what} (offset ${offset})`);
  }
}

/**
 * Reads what stands after a backslash: a set of bytes for a class such as `\d`, else one byte. Any
 * character that is no letter or digit stands for itself.
 */
export function parseEscape(reader: PatternReader): ByteSet | number {
  const hex = reader.match(/x([0-9A-Fa-f]{2})/y);
  if (hex !== undefined) {
    return Number.parseInt(hex[1] ?? '', 16);
  }
  const letter = reader.next();
  if (letter === '') {
    throw reader.corrupt('nothing follows the last backslash');
  }
  const known = CLASS_ESCAPES.get(letter) ?? BYTE_ESCAPES.get(letter);
  if (known !== undefined) {
    return known;
  }
  if (/[A-Za-z0-9]/.test(letter)) {
    throw reader.unsupported(`the escape \\${letter}`);
  }
  return letter.charCodeAt(0);
}
