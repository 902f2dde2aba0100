/**
 * rpm's query format: what `rpm -q --qf` prints of a package. Spec:
 * https://rpm-software-management.github.io/rpm/manual/queryformat.html
 *
 *   %[WIDTH]{[=#]TAG[:CONVERSION]}   the first value of a tag; in an array, the value of the present round
 *     WIDTH as of printf (`-20`: to the left); `=` always the first value; `#` how many values there are
 *   [...]                            once for every value of the tags in it, which must have equally many
 *   %|TAG?{...}:{...}|               whether the package has the tag
 *   %%  \n  \t  \\ ...               as in printf
 */
import { OstrataError } from '../../../src/errors.js';
import { type Conversion, conversionByName, showPlain } from './conversions.js';
import { byteString } from './header.js';
import type { RpmPackage } from './package.js';
import { type TagReader, type TagValues, tagByName } from './query-tags.js';

/** printf pads to any width; a wider field than this is a mistake. */
const MAX_WIDTH = 4096;
/**
 * Characters of one package: a thousand times what a kernel's files take; a small header can name
 * one long folder very often.
 */
const MAX_OUTPUT = 1 << 28;
const ABSENT = '(none)';
const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

type Show = (values: TagValues, element: number) => string;
interface TagToken {
  readonly type: 'tag';
  readonly tag: number;
  readonly read: TagReader;
  /** `=` or `#`: no part of the rounds of an array. */
  readonly once: boolean;
  readonly show: Show;
  /** Characters, negative: to the left. */
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
   * Throws `USAGE` with the place for what is no format, `UNSUPPORTED` for tags that are not
   * computed here.
   */
  constructor(format: string) {
    this.#tokens = new Parser(byteString(Buffer.from(format))).whole();
  }

  /**
   * What rpm prints of `pkg`, one character per byte. Throws `USAGE` for an array of tags that do
   * not go together.
   */
  print(pkg: RpmPackage): string {
    return new Printer(pkg).print(this.#tokens);
  }
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Token[] {
    return this.#tokens('');
  }

  /** Up to `end` (of an array or condition), which is consumed, or to the end of the format. */
  #tokens(end: ']' | '}' | ''): Token[] {
    const tokens: Token[] = [];
    let text = '';
    const flush = () => {
      if (text !== '') {
        tokens.push({ type: 'text', text });
      }
      text = '';
    };
    for (;;) {
      const at = this.#at;
      const character = this.#text[this.#at++];
      if (character === end || character === undefined) {
        if ((character ?? '') !== end) {
          throw this.#error(`${end} expected`, at);
        }
        flush();
        return tokens;
      }
      if (character === ']' || character === '}') {
        throw this.#error(`unexpected ${character}`, at);
      }
      if (character === '\\') {
        const escaped = this.#text[this.#at++] ?? '';
        text += ESCAPES[escaped] ?? escaped;
      } else if (character === '%' && this.#text[this.#at] === '%') {
        this.#at++;
        text += '%';
      } else if (character === '%' || character === '[') {
        flush();
        if (character === '[') {
          tokens.push({ type: 'array', tokens: this.#tokens(']') });
        } else {
          tokens.push(this.#text[this.#at] === '|' ? this.#condition() : this.#tag());
        }
      } else {
        text += character;
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
      return { type: 'tag', tag, read, once: mark !== '', show, width: Number(widthText) };
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
    const present = this.#tokens('}');
    const absent = this.#skip(':{') ? this.#tokens('}') : [];
    if (!this.#skip('|')) {
      throw this.#error('| expected at the end of the condition');
    }
    const { tag, read } = tagByName(name);
    return {
      type: 'condition',
      tag: { type: 'tag', tag, read, once: true, show: showCount, width: 0 },
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
  return ({ values }, element) => {
    const value = values[element];
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
    // Much less garbage than adding strings to each other.
    return this.#parts.join('');
  }

  #tokens(tokens: readonly Token[], element: number): void {
    for (const token of tokens) {
      if (token.type === 'text') {
        this.#add(token.text);
      } else if (token.type === 'tag') {
        this.#add(this.#tag(token, element));
      } else if (token.type === 'array') {
        this.#array(token.tokens);
      } else {
        this.#tokens(this.#has(token.tag) ? token.present : token.absent, element);
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

  #tag(token: TagToken, element: number): string {
    const values = this.#read(token);
    const text = values === undefined ? ABSENT : token.show(values, token.once ? 0 : element);
    if (token.width === 0) {
      return text;
    }
    return token.width < 0 ? text.padEnd(-token.width) : text.padStart(token.width);
  }

  #array(tokens: readonly Token[]): void {
    let rounds = 0;
    for (const token of tokens) {
      const count =
        token.type === 'tag' && !token.once ? (this.#read(token)?.values.length ?? 0) : 0;
      if (rounds > 0 && count > 0 && count !== rounds) {
        throw new OstrataError(
          'USAGE',
          `query format: an array of tags with ${rounds} and ${count} values in ${this.#pkg.nevra}; use %{=TAG} for single ones`,
        );
      }
      rounds = Math.max(rounds, count);
    }
    for (let element = 0; element < rounds; element++) {
      this.#tokens(tokens, element);
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
