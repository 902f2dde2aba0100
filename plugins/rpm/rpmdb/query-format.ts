/**
 * rpm's query format: what `rpm -q --qf` prints about a package.
 * Spec: https://rpm-software-management.github.io/rpm/manual/queryformat.html
 *
 *   %[WIDTH]{[=#]TAG[:CONVERSION]}   the first value of a tag; in an array, that of the round
 *     WIDTH is that of printf; -20 aligns to the left
 *     = stands for the first value in every round, # for the number of values
 *   [...]                            once for every value of its tags, which must have equally many
 *   %|TAG?{...}:{...}|               depends on whether the package has the tag
 *   %%  \n  \t  \\ ...               as in printf
 */
import { OstrataError } from '../../../src/errors.js';
import { type Conversion, conversionByName, showPlain } from './conversions.js';
import { byteString } from './header.js';
import type { RpmPackage } from './package.js';
import { type TagReader, type TagValues, tagByName } from './query-tags.js';

/** printf accepts any width, but a wider field than this is a mistake. */
const MAX_WIDTH = 4096;
/**
 * Characters for one package, a thousand times what the files of a kernel take. A small header can
 * name one long folder very often.
 */
const MAX_OUTPUT = 1 << 28;
/** What rpm prints for a tag that the package does not have. */
const ABSENT = '(none)';
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
type Show = (values: TagValues, round: number) => string;

interface TagToken {
  readonly type: 'tag';
  readonly tag: number;
  readonly read: TagReader;
  /** `=` or `#`: it shows the same in every round of an array. */
  readonly isSameInRounds: boolean;
  readonly show: Show;
  /** In characters. Negative: aligned to the left; 0: not padded. */
  readonly width: number;
}
type Token =
  | TagToken
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'array'; readonly tokens: readonly Token[] }
  | {
      readonly type: 'condition';
      readonly tag: TagToken;
      readonly present: readonly Token[];
      readonly absent: readonly Token[];
    };

/** A parsed query format. */
export class QueryFormat {
  readonly #tokens: readonly Token[];

  /**
   * Throws `USAGE` with the position of a mistake, `UNSUPPORTED` for tags that are not computed
   * here.
   */
  constructor(format: string) {
    this.#tokens = new Parser(byteString(Buffer.from(format))).parse();
  }

  /**
   * Returns what rpm prints, with one character per byte. Throws `USAGE` if tags of an array have
   * different lengths.
   */
  print(pkg: RpmPackage): string {
    return new Printer(pkg).print(this.#tokens);
  }
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
      const { tag, read, name: tagName } = tagByName(name);
      const show = mark === '#' ? showCount : showBy(conversion, tagName, tag);
      return {
        type: 'tag',
        tag,
        read,
        isSameInRounds: mark !== '',
        show,
        width: Number(widthText),
      };
    } catch (error) {
      throw error instanceof OstrataError ? this.#error(error.message, start, error.code) : error;
    }
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
    const { tag, read } = tagByName(name);
    return {
      type: 'condition',
      tag: { type: 'tag', tag, read, isSameInRounds: true, show: showCount, width: 0 },
      present,
      absent,
    };
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

function showBy(conversion: string | undefined, name: string, tag: number): Show {
  if (conversion === 'arraysize') {
    return showCount;
  }
  if (conversion === 'tagname') {
    return () => `${name[0]}${name.slice(1).toLowerCase()}`;
  }
  if (conversion === 'tagnum') {
    return () => String(tag);
  }
  const convert: Conversion = conversion === undefined ? showPlain : conversionByName(conversion);
  return ({ values }, round) => {
    const value = values[round];
    return value === undefined ? ABSENT : convert(value);
  };
}

/** Prints one package; reads each tag once. */
class Printer {
  readonly #pkg: RpmPackage;
  readonly #values = new Map<number, TagValues | undefined>();
  readonly #parts: string[] = [];
  #length = 0;

  constructor(pkg: RpmPackage) {
    this.#pkg = pkg;
  }

  print(tokens: readonly Token[]): string {
    this.#tokens(tokens, 0);
    // Joining makes much less garbage than adding strings to each other.
    return this.#parts.join('');
  }

  #tokens(tokens: readonly Token[], round: number): void {
    for (const token of tokens) {
      if (token.type === 'text') {
        this.#add(token.text);
      } else if (token.type === 'tag') {
        this.#add(this.#tag(token, round));
      } else if (token.type === 'array') {
        this.#array(token.tokens);
      } else {
        this.#tokens(this.#has(token.tag) ? token.present : token.absent, round);
      }
    }
  }

  #add(text: string): void {
    this.#length += text.length;
    if (this.#length > MAX_OUTPUT) {
      throw new OstrataError(
        'LIMIT',
        `query format: more than ${MAX_OUTPUT} characters of ${this.#pkg.nevra}`,
      );
    }
    this.#parts.push(text);
  }

  #tag(token: TagToken, round: number): string {
    const values = this.#read(token);
    const text =
      values === undefined ? ABSENT : token.show(values, token.isSameInRounds ? 0 : round);
    if (token.width === 0) {
      return text;
    }
    return token.width < 0 ? text.padEnd(-token.width) : text.padStart(token.width);
  }

  #array(tokens: readonly Token[]): void {
    let rounds = 0;
    for (const token of tokens) {
      const count =
        token.type === 'tag' && !token.isSameInRounds ? (this.#read(token)?.values.length ?? 0) : 0;
      if (rounds > 0 && count > 0 && count !== rounds) {
        throw new OstrataError(
          'USAGE',
          `query format: an array of tags with ${rounds} and ${count} values ` +
            `in ${this.#pkg.nevra}; use %{=TAG} for single ones`,
        );
      }
      rounds = Math.max(rounds, count);
    }
    for (let round = 0; round < rounds; round++) {
      this.#tokens(tokens, round);
    }
  }

  #has(token: TagToken): boolean {
    return this.#read(token) !== undefined;
  }

  #read(token: TagToken): TagValues | undefined {
    if (this.#values.has(token.tag)) {
      return this.#values.get(token.tag);
    }
    const values = token.read(this.#pkg);
    this.#values.set(token.tag, values);
    return values;
  }
}
