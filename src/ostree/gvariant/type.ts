/**
 * GVariant type strings (https://docs.gtk.org/glib/struct.VariantType.html): `b y n q i u x t h d s o g v`,
 * `aT` array, `mT` maybe, `(T...)` tuple, `{KT}` dictionary entry.
 */
import { OstrataError } from '../../errors.js';

/** Longest type string that is accepted, as in D-Bus signatures; ostree's longest is under 100. */
const MAX_SIGNATURE = 255;
/** Deepest nesting of containers that is accepted: half of GLib's own limit (G_VARIANT_MAX_RECURSION_DEPTH). */
export const MAX_DEPTH = 64;
/** Parsed types are remembered up to this number; ostree uses a dozen, and those inside variants come from input. */
const MAX_CACHED_TYPES = 256;

/** Basic types (those a dictionary key can have) but the strings, with their size, which is also their alignment. */
const FIXED_SIZES: Readonly<Record<string, number>> = {
  b: 1,
  y: 1,
  n: 2,
  q: 2,
  i: 4,
  u: 4,
  h: 4,
  x: 8,
  t: 8,
  d: 8,
};
const STRINGS = 'sog';
const NO_MEMBERS = { members: [], framed: 0 };

/** A parsed type string. */
export interface GVariantType {
  readonly kind: 'fixed' | 'string' | 'variant' | 'array' | 'maybe' | 'tuple';
  /** The type string. */
  readonly signature: string;
  /** 1, 2, 4 or 8. */
  readonly alignment: number;
  /** Bytes of every value; undefined where values differ in length. */
  readonly size: number | undefined;
  /** One for an array or maybe; the members of a tuple or dictionary entry (which serialises as a tuple). */
  readonly members: readonly GVariantType[];
  /** Framing offsets at the end of a tuple: one for each member of variable length but the last. */
  readonly framed: number;
}

const cache = new Map<string, GVariantType>();

/** Parses `signature`, which must be exactly one complete type; else `CORRUPT`. */
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

  next(depth: number): GVariantType {
    const start = this.#at;
    const letter = this.#text[this.#at++] ?? '';
    if (depth > MAX_DEPTH) {
      throw this.#error('is nested too deeply');
    }
    const fixed = FIXED_SIZES[letter];
    if (fixed !== undefined) {
      return { kind: 'fixed', signature: letter, alignment: fixed, size: fixed, ...NO_MEMBERS };
    }
    if (letter !== '' && STRINGS.includes(letter)) {
      return { kind: 'string', signature: letter, alignment: 1, size: undefined, ...NO_MEMBERS };
    }
    if (letter === 'v') {
      return { kind: 'variant', signature: letter, alignment: 8, size: undefined, ...NO_MEMBERS };
    }
    if (letter === 'a' || letter === 'm') {
      const member = this.next(depth + 1);
      const kind = letter === 'a' ? 'array' : 'maybe';
      const { alignment } = member;
      return {
        kind,
        signature: this.#since(start),
        alignment,
        size: undefined,
        members: [member],
        framed: 0,
      };
    }
    if (letter === '(') {
      return this.#tuple(start, depth);
    }
    if (letter === '{') {
      return this.#entry(start, depth);
    }
    throw this.#error(letter === '' ? 'is incomplete' : `holds ${JSON.stringify(letter)}`);
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
    const members = [key, this.next(depth + 1)];
    if (this.#text[this.#at++] !== '}') {
      throw this.#error('has a dictionary entry that is not closed');
    }
    return tupleOf(this.#since(start), members);
  }

  expectEnd(): void {
    if (this.#at !== this.#text.length) {
      throw this.#error('goes on after one complete type');
    }
  }

  #since(start: number): string {
    return this.#text.slice(start, this.#at);
  }

  #error(rule: string): OstrataError {
    return new OstrataError(
      'CORRUPT',
      `GVariant type string ${JSON.stringify(this.#text)} ${rule}`,
    );
  }
}

function tupleOf(signature: string, members: readonly GVariantType[]): GVariantType {
  const alignment = Math.max(1, ...members.map((member) => member.alignment));
  const framed = members.slice(0, -1).filter((member) => member.size === undefined).length;
  return {
    kind: 'tuple',
    signature,
    alignment,
    size: fixedTupleSize(members, alignment),
    members,
    framed,
  };
}

function fixedTupleSize(members: readonly GVariantType[], alignment: number): number | undefined {
  let end = 0;
  for (const member of members) {
    if (member.size === undefined) {
      return undefined;
    }
    end = alignUp(end, member.alignment) + member.size;
  }
  return Math.max(1, alignUp(end, alignment)); // the empty tuple takes one byte
}

/** `offset` rounded up to a multiple of `alignment`. */
export function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

/** The type of the member at `index` of a container. */
export function memberType(type: GVariantType, index: number): GVariantType {
  return type.members[type.kind === 'tuple' ? index : 0] as GVariantType;
}

/** An input that is no normal form of `type`. */
export function fail(type: GVariantType, rule: string): OstrataError {
  return new OstrataError('CORRUPT', `GVariant ${type.signature}: ${rule}`);
}

/** A value that does not fit its type is a mistake of the caller, not of input. */
export function misuse(type: GVariantType, rule: string): TypeError {
  return new TypeError(`GVariant ${type.signature} ${rule}`);
}
