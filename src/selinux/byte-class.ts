/** Parses a bracket expression of a PCRE2 pattern, such as `[^/]` or `[[:alpha:]_-]`. */
import { type ByteSet, complement, POSIX_CLASSES, range, single, union } from './byte-set.js';
import { type PatternReader, parseEscape } from './pattern-reader.js';

/** The rest of `[:name:]`, and of `[.x.]` and `[=x=]`, which PCRE2 refuses. */
const NAMED = /([:.=])((?:\\[\]\\]|(?!\[\1|\1\]|\]|\\[\]\\]).)*)\1\]/sy;

/** Reads a bracket expression, whose `[` has been read. */
export function parseByteClass(reader: PatternReader): ByteSet {
  refuseOutsideClass(reader);
  const isNegated = reader.skip('^');
  const parts: ByteSet[] = [];
  // A bracket that comes first is a character of the class.
  while (parts.length === 0 || !reader.skip(']')) {
    parts.push(nextPart(reader));
  }
  const set = union(parts);
  return isNegated ? complement(set) : set;
}

/** PCRE2 takes `[:alpha:]` outside of a bracket expression for a mistake. */
function refuseOutsideClass(reader: PatternReader): void {
  const start = reader.offset;
  const named = reader.match(NAMED);
  reader.offset = start;
  if (named !== undefined) {
    throw reader.corrupt(`[${named[0]} stands outside of a bracket expression`);
  }
}

function nextPart(reader: PatternReader): ByteSet {
  const first = nextItem(reader);
  if (typeof first === 'number') {
    return rangeFrom(reader, first);
  }
  if (isRange(reader)) {
    throw reader.corrupt('a range of characters begins with a class');
  }
  return first;
}

/** Reads one character, escape or named class. */
function nextItem(reader: PatternReader): ByteSet | number {
  if (reader.isAtEnd) {
    throw reader.corrupt('a bracket expression is not closed');
  }
  if (reader.skip('\\')) {
    // Elsewhere \b is an assertion.
    return reader.skip('b') ? 0x08 : parseEscape(reader);
  }
  const character = reader.nextByte();
  const named = character === 0x5b ? reader.match(NAMED) : undefined;
  return named === undefined ? character : namedSet(reader, named);
}

/** Whether a hyphen comes next, and is not the last character of the bracket expression. */
function isRange(reader: PatternReader): boolean {
  return reader.startsWith('-') && !reader.startsWith('-]');
}

/** Reads the other end of a range from `first`, if there is one. */
function rangeFrom(reader: PatternReader, first: number): ByteSet {
  if (!isRange(reader)) {
    return single(first);
  }
  reader.skip('-');
  const last = nextItem(reader);
  if (typeof last !== 'number' || last < first) {
    throw reader.corrupt('a range of characters is out of order or ends with a class');
  }
  return range(first, last);
}

function namedSet(reader: PatternReader, [text, , name = '']: RegExpExecArray): ByteSet {
  const set = POSIX_CLASSES.get(name.replace(/^\^/, ''));
  if (!text.startsWith(':') || set === undefined) {
    throw reader.corrupt(`there is no character class [${text}`);
  }
  return name.startsWith('^') ? complement(set) : set;
}
