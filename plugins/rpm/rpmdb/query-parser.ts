/** Parses rpm's query formats into tokens; their syntax is described in query-format.ts. */
import { OstrataError } from '../../../src/errors.js';
import { type Conversion, conversionByName, showPlain } from './conversions.js';
import { byteString } from './header.js';
import { MARKUPS, type Markup, PLAIN, titleCase } from './markup.js';
import { type QueryTag, tagByName } from './query-tags.js';
import type { TagValues } from './tag-values.js';

/** printf accepts any width, but a wider field than this is a mistake. */
const MAX_WIDTH = 4096;
/** What rpm prints for a tag that the package does not have. */
export const ABSENT = '(none)';
/** By the letter after the backslash. */
const ESCAPES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    a: '\x07',
    b: '\b',
    f: '\f',
    n: '\n',
    r: '\r',
    t: '\t',
    v: '\v',
  }),
);

/** Returns the text for one round of an array; outside of arrays, `round` is 0. */
type Show = (values: TagValues, round: number, query: QueryTag) => string;

export interface TagToken {
  readonly type: 'tag';
  readonly query: QueryTag;
  /** `=` or `#`: it shows the same in every round of an array. */
  readonly isSameInRounds: boolean;
  readonly show: Show;
  /** What is printed around the values. */
  readonly markup: Markup;
  /** In characters. Negative: aligned to the left; 0: not padded. */
  readonly width: number;
}
export interface ArrayToken {
  readonly type: 'array';
  readonly tokens: readonly Token[];
}
export type Token =
  | TagToken
  | ArrayToken
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'condition';
      readonly query: QueryTag;
      readonly present: readonly Token[];
      readonly absent: readonly Token[];
    };

/** Stands for all the tags of a package, one after the other. */
export const EVERY_TAG: QueryTag = { name: '*', tag: -1, read: () => undefined };

/** Parses a format. Throws `USAGE` with the position of a mistake. */
export function parseQueryFormat(format: string): readonly Token[] {
  return new Parser(byteString(Buffer.from(format))).parse();
}

/** Recursive descent, one method for each construct. */
class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Token[] {
    return this.#tokensUntil('');
  }

  /** Reads up to and including `end`; the empty string stands for the end of the format. */
  #tokensUntil(end: ']' | '}' | ''): Token[] {
    const tokens: Token[] = [];
    for (;;) {
      const text = this.#literal();
      if (text !== '') {
        tokens.push({ type: 'text', text });
      }

      const character = this.#text[this.#at] ?? '';
      if (character === end) {
        this.#at++;
        return tokens;
      }
      if (character === '') {
        throw this.#error(`${end} expected`);
      }
      tokens.push(this.#token(character));
    }
  }

  #token(character: string): Token {
    const start = this.#at;
    this.#at++;
    switch (character) {
      case '[':
        return { type: 'array', tokens: this.#tokensUntil(']') };
      case '%':
        return this.#text[this.#at] === '|' ? this.#condition() : this.#tag();
      default:
        throw this.#error(`unexpected ${character}`, start);
    }
  }

  /** Reads text up to the next character with a meaning. */
  #literal(): string {
    let text = '';
    for (;;) {
      const character = this.#text[this.#at] ?? '';
      const next = this.#text[this.#at + 1] ?? '';
      if (character === '\\') {
        text += ESCAPES.get(next) ?? next;
        this.#at += 2;
      } else if (character === '%' && next === '%') {
        text += '%';
        this.#at += 2;
      } else if (character === '' || '%[]}'.includes(character)) {
        return text;
      } else {
        text += character;
        this.#at++;
      }
    }
  }

  #tag(): TagToken {
    const start = this.#at - 1;
    const [whole, widthText = '', mark, name = '', conversion] =
      /^([^{%]*)\{([=#]?)([^}:]*)(?::([^}]*))?\}/.exec(this.#text.slice(this.#at)) ?? [];
    if (whole === undefined) {
      throw this.#error('expected %{TAG}', start);
    }
    if (!/^-?\d*$/.test(widthText) || Math.abs(Number(widthText)) > MAX_WIDTH) {
      throw this.#error('invalid field width', start);
    }
    this.#at += whole.length;
    try {
      return {
        type: 'tag',
        query: name === EVERY_TAG.name ? this.#everyTag(start) : tagByName(name),
        isSameInRounds: mark !== '',
        show: mark === '#' ? showCount : showBy(conversion),
        markup: MARKUPS.get(conversion ?? '') ?? PLAIN,
        width: Number(widthText),
      };
    } catch (error) {
      throw error instanceof OstrataError ? this.#error(error.message, start, error.code) : error;
    }
  }

  #everyTag(start: number): QueryTag {
    if (start !== 0 && !(start === 1 && this.#text.startsWith('['))) {
      throw new OstrataError('USAGE', '* is not at the beginning');
    }
    return EVERY_TAG;
  }

  /** `%|TAG?{present}:{absent}|`; the second part may be missing. */
  #condition(): Token {
    const start = this.#at - 1;
    const [whole, name = ''] = /^\|([^?]*)\?\{/.exec(this.#text.slice(this.#at)) ?? [];
    if (whole === undefined) {
      throw this.#error('expected %|TAG?{...}:{...}|', start);
    }
    this.#at += whole.length;
    const present = this.#tokensUntil('}');
    const absent = this.#skip(':{') ? this.#tokensUntil('}') : [];
    if (!this.#skip('|')) {
      throw this.#error('| expected at the end of the condition');
    }
    return { type: 'condition', query: tagByName(name), present, absent };
  }

  #skip(expected: string): boolean {
    if (!this.#text.startsWith(expected, this.#at)) {
      return false;
    }
    this.#at += expected.length;
    return true;
  }

  #error(rule: string, at = this.#at, code: OstrataError['code'] = 'USAGE'): OstrataError {
    return new OstrataError(code, `query format: ${rule} (at character ${at + 1})`);
  }
}

const showCount: Show = ({ values }) => String(values.length);

function showBy(conversion: string | undefined): Show {
  switch (conversion) {
    case 'arraysize':
      return showCount;
    case 'tagname':
      return (_values, _round, { name }) => titleCase(name);
    case 'tagnum':
      return (_values, _round, { tag }) => String(tag);
    default:
      return showValue(conversion === undefined ? showPlain : conversionByName(conversion));
  }
}

function showValue(convert: Conversion): Show {
  return ({ values }, round) => {
    const value = values[round];
    return value === undefined ? ABSENT : convert(value);
  };
}
