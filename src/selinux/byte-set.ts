/**
 * Sets of bytes, which patterns of file contexts match: PCRE2's escapes such as `\d`, and its
 * classes such as `[:alpha:]`, each in the C locale and without UTF, as libselinux uses them.
 */
import { must } from '../errors.js';

/** 256 flags: 1 for each byte that is in the set. */
export type ByteSet = Uint8Array;

/** The set of those bytes that `has` accepts. */
export function setOf(has: (byte: number) => boolean): ByteSet {
  const set = new Uint8Array(256);
  for (let byte = 0; byte < set.length; byte++) {
    set[byte] = Number(has(byte));
  }
  return set;
}

/** The set of the bytes from `first` to `last`, both included. */
export function range(first: number, last: number): ByteSet {
  return setOf((byte) => byte >= first && byte <= last);
}

const SINGLE_BYTES = Array.from({ length: 256 }, (_, byte) => range(byte, byte));

/** The set of one byte: the same object for the same byte. */
export function single(byte: number): ByteSet {
  return must(SINGLE_BYTES[byte], `byte ${byte}`);
}

/** The set of the characters of `text`, which is Latin-1. */
export function oneOf(text: string): ByteSet {
  const bytes = new Set(Buffer.from(text, 'latin1'));
  return setOf((byte) => bytes.has(byte));
}

export function union(sets: readonly ByteSet[]): ByteSet {
  return setOf((byte) => sets.some((set) => set[byte] === 1));
}

export function complement(set: ByteSet): ByteSet {
  return setOf((byte) => set[byte] === 0);
}

export const ANY_BYTE = range(0, 255);

const DIGIT = range(0x30, 0x39);
const LOWER = range(0x61, 0x7a);
const UPPER = range(0x41, 0x5a);
const ALPHA = union([LOWER, UPPER]);
const ALNUM = union([ALPHA, DIGIT]);
const WORD = union([ALNUM, oneOf('_')]);
const SPACE = oneOf(' \t\n\v\f\r');
const GRAPH = range(0x21, 0x7e);
const PUNCT = setOf((byte) => GRAPH[byte] === 1 && ALNUM[byte] === 0);

/** What `[:NAME:]` in a class stands for. */
export const POSIX_CLASSES: ReadonlyMap<string, ByteSet> = new Map([
  ['alpha', ALPHA],
  ['lower', LOWER],
  ['upper', UPPER],
  ['alnum', ALNUM],
  ['ascii', range(0, 127)],
  ['blank', oneOf(' \t')],
  ['cntrl', setOf((byte) => byte < 0x20 || byte === 0x7f)],
  ['digit', DIGIT],
  ['graph', GRAPH],
  ['print', range(0x20, 0x7e)],
  ['punct', PUNCT],
  ['space', SPACE],
  ['word', WORD],
  ['xdigit', oneOf('0123456789abcdefABCDEF')],
]);

const ESCAPES: readonly (readonly [string, ByteSet])[] = [
  ['d', DIGIT],
  ['w', WORD],
  ['s', SPACE],
  ['h', oneOf('\t \xa0')],
  ['v', oneOf('\n\v\f\r\x85')],
];

/** What a backslash and a letter stand for, if that is a class: `\D` is what `\d` is not. */
export const CLASS_ESCAPES: ReadonlyMap<string, ByteSet> = new Map([
  ...ESCAPES,
  ...ESCAPES.map(([letter, set]) => [letter.toUpperCase(), complement(set)] as const),
]);

/** What a backslash and a letter stand for, if that is one byte. */
export const BYTE_ESCAPES: ReadonlyMap<string, number> = new Map([
  ['a', 0x07],
  ['e', 0x1b],
  ['f', 0x0c],
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
]);

/** Returns a number for each set; equal sets get the same one. */
export class ByteSets {
  readonly sets: ByteSet[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #known = new Map<ByteSet, number>();

  numberOf(set: ByteSet): number {
    let number = this.#known.get(set);
    if (number === undefined) {
      number = this.#numberOfContent(set);
      this.#known.set(set, number);
    }
    return number;
  }

  #numberOfContent(set: ByteSet): number {
    const key = set.join('');
    const known = this.#numbers.get(key);
    if (known !== undefined) {
      return known;
    }
    const number = this.sets.push(set) - 1;
    this.#numbers.set(key, number);
    return number;
  }

  /** Gives each byte the number of its class. The bytes of a class are in the same sets. */
  classes(): Uint8Array {
    const numbers = new Map<string, number>();
    return Uint8Array.from({ length: 256 }, (_, byte) => {
      const signature = this.sets.map((set) => set[byte]).join('');
      const number = numbers.get(signature) ?? numbers.size;
      numbers.set(signature, number);
      return number;
    });
  }
}
