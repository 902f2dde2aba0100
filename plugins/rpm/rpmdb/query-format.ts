/**
 * rpm's query format: what `rpm -q --qf` prints about a package.
 * Spec: https://rpm-software-management.github.io/rpm/manual/queryformat.html
 *
 *   %[WIDTH]{[=#]TAG[:CONVERSION]}   the first value of a tag; in an array, that of the round
 *     WIDTH is that of printf; -20 aligns to the left
 *     = stands for the first value in every round, # for the number of values
 *   [...]                            once for every value of its tags, which must have equally many
 *   %|TAG?{...}:{...}|               depends on whether the package has the tag
 *   %{*}, [%{*:xml}\n], [%{*:json}]  once for every tag that is stored; the rest is ignored
 *   %%  \n  \t  \\ ...               as in printf
 */
import { OstrataError } from '../../../src/errors.js';
import { type Markup, PLAIN, XML } from './markup.js';
import type { RpmPackage } from './package.js';
import {
  ABSENT,
  type ArrayToken,
  EVERY_TAG,
  parseQueryFormat,
  type TagToken,
  type Token,
} from './query-parser.js';
import { type QueryTag, tagByNumber } from './query-tags.js';
import type { TagValues } from './tag-values.js';

/**
 * Characters for one package, a thousand times what the files of a kernel take. A small header can
 * name one long folder very often.
 */
const MAX_OUTPUT = 1 << 28;
/** A parsed query format. */
export class QueryFormat {
  readonly #tokens: readonly Token[];

  /** Throws `USAGE` with the position of a mistake. */
  constructor(format: string) {
    this.#tokens = parseQueryFormat(format);
  }

  /**
   * Returns what rpm prints, with one character per byte. Throws `USAGE` if tags of an array have
   * different lengths.
   */
  print(pkg: RpmPackage): string {
    return new Printer(pkg).print(this.#tokens);
  }
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
    const [first] = tokens;
    const leading = first?.type === 'array' ? first.tokens[0] : first;
    if (leading?.type === 'tag' && leading.query === EVERY_TAG) {
      this.#everyTag(leading, first?.type === 'array' ? first.tokens : undefined);
    } else {
      this.#tokens(tokens, 0);
    }
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
        this.#array(token.tokens, arrayMarkup(token));
      } else {
        this.#tokens(this.#read(token.query) ? token.present : token.absent, round);
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
    const values = this.#read(token.query);
    const shownRound = token.isSameInRounds ? 0 : round;
    const text = values === undefined ? ABSENT : token.show(values, shownRound, token.query);
    if (token.width === 0) {
      return text;
    }
    return token.width < 0 ? text.padEnd(-token.width) : text.padStart(token.width);
  }

  /**
   * Shows a token once for each tag that the header stores, in the order of their numbers.
   * @param array the tokens of the array that the token begins, if it does
   */
  #everyTag(leading: TagToken, array: readonly Token[] | undefined): void {
    const { header, separator } = leading.markup;
    const tags = [...this.#pkg.header.tags()].sort((a, b) => a - b);
    this.#add(header[0]);
    for (const [i, tag] of tags.entries()) {
      this.#add(i === 0 ? '' : separator);
      const bound = { ...leading, query: tagByNumber(tag) };
      if (array === undefined) {
        this.#add(this.#tag(bound, 0));
      } else {
        this.#array([bound, ...array.slice(1)], leading.markup);
      }
    }
    this.#add(header[1]);
  }

  #array(tokens: readonly Token[], markup: Markup): void {
    const rounds = this.#countRounds(tokens);
    if (rounds === 0) {
      return;
    }
    const [first] = tokens;
    const name = first?.type === 'tag' ? first.query.name : '';
    const [open, close] = markup.tag(name, rounds);
    this.#add(open);
    for (let round = 0; round < rounds; round++) {
      const [before, after] = markup.value(round, rounds);
      this.#add(before);
      this.#tokens(tokens, round);
      this.#add(after);
    }
    this.#add(close);
  }

  #countRounds(tokens: readonly Token[]): number {
    let rounds = 0;
    for (const token of tokens) {
      const values =
        token.type === 'tag' && !token.isSameInRounds ? this.#read(token.query) : undefined;
      const count = values?.values.length ?? 0;
      if (rounds > 0 && count > 0 && count !== rounds) {
        throw new OstrataError(
          'USAGE',
          `query format: an array of tags with ${rounds} and ${count} values ` +
            `in ${this.#pkg.nevra}; use %{=TAG} for single ones`,
        );
      }
      rounds = Math.max(rounds, count);
    }
    return rounds;
  }

  #read({ tag, read }: QueryTag): TagValues | undefined {
    if (this.#values.has(tag)) {
      return this.#values.get(tag);
    }
    const values = read(this.#pkg);
    this.#values.set(tag, values);
    return values;
  }
}

/** Outside of `%{*}`, rpm puts markup only around arrays that begin with a tag as XML. */
function arrayMarkup({ tokens: [first] }: ArrayToken): Markup {
  return first?.type === 'tag' && first.markup === XML ? XML : PLAIN;
}
