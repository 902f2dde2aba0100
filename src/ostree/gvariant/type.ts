/**
 * GVariant type strings, https://docs.gtk.org/glib/struct.VariantType.html:
 * `b y n q i u x t h d s o g v` basic types and variant, `aT` array, `mT` maybe, `(T...)` tuple,
 * `{KT}` dictionary entry.
 */
import { OstrataError } from '../../errors.js';

/** Longest type string that is accepted, as in D-Bus; the longest of ostree has under 100 bytes. */
const MAX_SIGNATURE = 255;
/** Deepest nesting of containers that is accepted: half of GLib's G_VARIANT_MAX_RECURSION_DEPTH. */
export const MAX_DEPTH = 64;
/**
 * Number of parsed types that are remembered. ostree uses a dozen; the types of variants come from
 * input, which must not fill the memory.
 */
const MAX_CACHED_TYPES = 256;

/** Sizes in bytes of the basic types of fixed size. The size is also the alignment. */
const FIXED_SIZES = { b: 1, y: 1, n: 2, q: 2, i: 4, u: 4, h: 4, x: 8, t: 8, d: 8 };

/** A parsed type string. */
export interface GVariantType {
  readonly kind: 'fixed' | 'string' | 'variant' | 'array' | 'maybe' | 'tuple';
  /** The type string. */
  readonly signature: string;
  /** 1, 2, 4 or 8. */
  readonly alignment: number;
  /** Size in bytes of every value; undefined if values differ in size. */
  readonly size: number | undefined;
  /** The one member type of an array or maybe; those of a tuple or dictionary entry. */
  readonly members: readonly GVariantType[];
  /** Number of framing offsets of a tuple: one per member of variable size but the last member. */
  readonly offsetCount: number;
}

const NO_MEMBERS = { members: [], offsetCount: 0 };

/** The types that are written as one letter. */
const BASIC_TYPES: ReadonlyMap<string, GVariantType> = new Map([
  ...Object.entries(FIXED_SIZES).map(([letter, size]) => basicType('fixed', letter, size, size)),
  ...['s', 'o', 'g'].map((letter) => basicType('string', letter, 1, undefined)),
  basicType('variant', 'v', 8, undefined),
]);

function basicType(
  kind: GVariantType['kind'],
  signature: string,
  alignment: number,
  size: number | undefined,
): [string, GVariantType] {
  return [signature, { kind, signature, alignment, size, ...NO_MEMBERS }];
}

const cache = new Map<string, GVariantType>();

/** Parses `signature`. Throws `CORRUPT` unless it is exactly one complete type. */
export function parseType(signature: string): GVariantType {
  const known = cache.get(signature);
  if (known) {
    return known;
  }
  if (signature.length > MAX_SIGNATURE) {
    throw new OstrataError(
      'CORRUPT',
      `GVariant type string of ${signature.length} bytes, at most ${MAX_SIGNATURE}`,
    );
  }

  const parser = new TypeParser(signature);
  const type = parser.next(0);
  parser.expectEnd();
  if (cache.size < MAX_CACHED_TYPES) {
    cache.set(signature, type);
  }
  return type;
}

class TypeParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Parses the next type, which is `depth` containers deep. */
  next(depth: number): GVariantType {
    const start = this.#at;
    const letter = this.#text[this.#at++] ?? '';
    if (depth > MAX_DEPTH) {
      throw this.#error('is nested too deeply');
    }

    const basic = BASIC_TYPES.get(letter);
    if (basic !== undefined) {
      return basic;
    }
    switch (letter) {
      case 'a':
        return this.#collection('array', start, depth);
      case 'm':
        return this.#collection('maybe', start, depth);
      case '(':
        return this.#tuple(start, depth);
      case '{':
        return this.#entry(start, depth);
      case '':
        throw this.#error('is incomplete');
      default:
        throw this.#error(`has the unknown letter ${JSON.stringify(letter)}`);
    }
  }

  /** Throws unless all of the type string was parsed. */
  expectEnd(): void {
    if (this.#at !== this.#text.length) {
      throw this.#error('goes on after one complete type');
    }
  }

  #collection(kind: 'array' | 'maybe', start: number, depth: number): GVariantType {
    const member = this.next(depth + 1);
    return {
      kind,
      signature: this.#since(start),
      alignment: member.alignment,
      size: undefined,
      members: [member],
      offsetCount: 0,
    };
  }

  #tuple(start: number, depth: number): GVariantType {
    const members: GVariantType[] = [];
    while (this.#text[this.#at] !== ')') {
      members.push(this.next(depth + 1));
    }
    this.#at++;
    return tupleOf(this.#since(start), members);
  }

  #entry(start: number, depth: number): GVariantType {
    const key = this.next(depth + 1);
    if (key.kind !== 'fixed' && key.kind !== 'string') {
      throw this.#error(`has the key type ${key.signature}`);
    }
    const value = this.next(depth + 1);
    if (this.#text[this.#at++] !== '}') {
      throw this.#error('has a dictionary entry that is not closed');
    }
    return tupleOf(this.#since(start), [key, value]);
  }

  #since(start: number): string {
    return this.#text.slice(start, this.#at);
  }

  #error(rule: string): OstrataError {
    const shown = JSON.stringify(this.#text);
    return new OstrataError('CORRUPT', `GVariant type string ${shown} ${rule}`);
  }
}

function tupleOf(signature: string, members: readonly GVariantType[]): GVariantType {
  const alignment = Math.max(1, ...members.map((member) => member.alignment));
  const offsetCount = members.slice(0, -1).filter((member) => member.size === undefined).length;
  const size = fixedTupleSize(members, alignment);
  return { kind: 'tuple', signature, alignment, size, members, offsetCount };
}

function fixedTupleSize(members: readonly GVariantType[], alignment: number): number | undefined {
  let end = 0;
  for (const member of members) {
    if (member.size === undefined) {
      return undefined;
    }
    end = alignUp(end, member.alignment) + member.size;
  }
  // The empty tuple takes one byte.
  return Math.max(1, alignUp(end, alignment));
}

/** Rounds `offset` up to a multiple of `alignment`. */
export function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

/** Returns the type of the member at `index` of a container. */
export function memberType(type: GVariantType, index: number): GVariantType {
  const member = type.members[type.kind === 'tuple' ? index : 0];
  if (member === undefined) {
    throw misuse(type, `has no member ${index}`);
  }
  return member;
}

/** Returns the error for input that is not a value of `type` in normal form. */
export function notNormal(type: GVariantType, rule: string): OstrataError {
  return new OstrataError('CORRUPT', `GVariant ${type.signature}: ${rule}`);
}

/**
 * Returns the error for a value that does not fit its type: a mistake of the caller, not of input.
 */
export function misuse(type: GVariantType, rule: string): TypeError {
  return new TypeError(`GVariant ${type.signature} ${rule}`);
}
