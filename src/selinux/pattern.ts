/**
 * Parses the patterns of file contexts, which libselinux compiles with PCRE2 (pcre2pattern(3)),
 * with PCRE2_DOTALL and without UTF. Constructs that no finite automaton has are refused.
 */
import { OstrataError } from '../errors.js';
import { parseByteClass } from './byte-class.js';
import { ANY_BYTE, type ByteSet, single } from './byte-set.js';
import { PatternReader, parseEscape } from './pattern-reader.js';

/** Longer patterns are refused, as by libselinux since 3.9. */
const MAX_PATTERN_LENGTH = 4095;
/** PCRE2's own bounds. */
const MAX_NESTING = 250;
const MAX_REPEAT = 65535;

/** A brace that begins no quantifier stands for itself. */
const QUANTIFIER = /([*+?]|\{(\d+)(?:(,)(\d*))?\})[?+]?/y;

/** Characters for PCRE2 up to 10.42, and a quantifier since then. */
const OPEN_MINIMUM = /\{,\d+\}/y;

/** What a pattern matches. */
export type Pattern =
  | { readonly type: 'bytes'; readonly set: ByteSet }
  | { readonly type: 'sequence'; readonly items: readonly Pattern[] }
  | { readonly type: 'choice'; readonly options: readonly Pattern[] }
  /** `max` is Infinity if there is no bound. */
  | { readonly type: 'repeat'; readonly item: Pattern; readonly min: number; readonly max: number }
  /** `^`: only at the start of the path. */
  | { readonly type: 'start' }
  /** `$`: only at the end of the path, or before a line feed that ends it. */
  | { readonly type: 'end' };

/**
 * Parses the pattern of one file context, between the `^` and `$` that libselinux puts around it.
 * These belong to the first and the last alternative only if `|` stands outside of parentheses.
 *
 * Since it is only asked whether a path matches, lazy quantifiers are the same as greedy ones.
 * Throws `UNSUPPORTED` for what is no regular language or has no place in a path (assertions other
 * than `^` and `$`, back references, atomic groups, possessive quantifiers, options, verbs),
 * `CORRUPT` for what PCRE2 refuses, and `LIMIT` for a pattern that is too long or nested too deep.
 */
export function parsePattern(source: string): Pattern {
  if (source.length > MAX_PATTERN_LENGTH) {
    const size = `has ${source.length} bytes, at most ${MAX_PATTERN_LENGTH}`;
    throw new OstrataError('LIMIT', `pattern ${size}`);
  }
  return new PatternParser(source).parse();
}

class PatternParser {
  readonly #reader: PatternReader;
  #nesting = 0;

  constructor(source: string) {
    this.#reader = new PatternReader(source);
  }

  parse(): Pattern {
    const pattern = this.#alternatives();
    if (!this.#reader.isAtEnd) {
      throw this.#reader.corrupt('no group is open here');
    }
    return pattern;
  }

  #alternatives(): Pattern {
    const options = [this.#sequence()];
    while (this.#reader.skip('|')) {
      options.push(this.#sequence());
    }
    return { type: 'choice', options };
  }

  #sequence(): Pattern {
    const items: Pattern[] = [];
    while (
      !this.#reader.isAtEnd &&
      !this.#reader.startsWith('|') &&
      !this.#reader.startsWith(')')
    ) {
      items.push(this.#quantified(this.#item()));
    }
    return { type: 'sequence', items };
  }

  #item(): Pattern {
    const reader = this.#reader;
    const quantifier = reader.match(QUANTIFIER);
    if (quantifier !== undefined) {
      throw reader.corrupt(`the quantifier ${quantifier[0]} follows nothing that it can repeat`);
    }
    if (reader.match(OPEN_MINIMUM) !== undefined) {
      throw reader.unsupported('a quantifier without a minimum, of which PCRE2 10.43 made one,');
    }
    const character = reader.next();
    switch (character) {
      case '(':
        return this.#group();
      case '[':
        return { type: 'bytes', set: parseByteClass(reader) };
      case '.':
        return { type: 'bytes', set: ANY_BYTE };
      case '^':
        return { type: 'start' };
      case '$':
        return { type: 'end' };
      case '\\':
        return this.#escape();
      default:
        return { type: 'bytes', set: single(character.charCodeAt(0)) };
    }
  }

  #escape(): Pattern {
    const escaped = parseEscape(this.#reader);
    const set = typeof escaped === 'number' ? single(escaped) : escaped;
    return { type: 'bytes', set };
  }

  #group(): Pattern {
    const reader = this.#reader;
    const special = reader.match(/\?(?!:)..?|\*[a-zA-Z:]/y);
    if (special !== undefined) {
      throw reader.unsupported(`a group that begins with (${special[0]}`);
    }
    reader.skip('?:');
    if (++this.#nesting > MAX_NESTING) {
      throw reader.limit(`groups are nested deeper than ${MAX_NESTING}`);
    }
    const inner = this.#alternatives();
    this.#nesting--;
    if (!reader.skip(')')) {
      throw reader.corrupt('a group is not closed');
    }
    return inner;
  }

  /** Applies the quantifier that follows `item`, if there is one. */
  #quantified(item: Pattern): Pattern {
    const reader = this.#reader;
    const isAssertion = item.type === 'start' || item.type === 'end';
    const quantifier = isAssertion ? undefined : reader.match(QUANTIFIER);
    if (quantifier === undefined) {
      return item;
    }
    const [text] = quantifier;
    if (text.length > 1 && text.endsWith('+')) {
      throw reader.unsupported(`the possessive quantifier ${text}`);
    }
    return { type: 'repeat', item, ...this.#bounds(quantifier) };
  }

  #bounds([text, , low, comma, high]: RegExpExecArray): { min: number; max: number } {
    if (low === undefined) {
      const min = text.startsWith('+') ? 1 : 0;
      const max = text.startsWith('?') ? 1 : Number.POSITIVE_INFINITY;
      return { min, max };
    }
    const min = Number(low);
    const openMax = comma === undefined ? min : Number.POSITIVE_INFINITY;
    const max = high ? Number(high) : openMax;
    if (min > MAX_REPEAT || (high && max > MAX_REPEAT)) {
      throw this.#reader.limit(`${text} repeats more than ${MAX_REPEAT} times`);
    }
    if (min > max) {
      throw this.#reader.corrupt(`the bounds of ${text} are in the wrong order`);
    }
    return { min, max };
  }
}
