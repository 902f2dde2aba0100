/** The entries of a tar archive that describe the entry after them, by their type flags. */
import { OstrataError } from '../errors.js';
import { decodeText, untilNul } from './fields.js';
import { decodePax, type Overrides } from './pax.js';

/** Largest extended header: bootc's limit for xattrs (1 MiB), and 64 KiB for everything else. */
const MAX_EXTENDED_SIZE = (1 << 20) + (1 << 16);
/** Largest long name: PATH_MAX with `./` before it and a NUL after it. */
const MAX_NAME_SIZE = 4099;

/** An entry that describes the entry after it. */
export interface ExtendedHeader {
  /** Largest body in bytes. */
  readonly limit: number;
  readonly decode: (body: Buffer) => Overrides;
}

/** The extended headers by their type flags; `L` and `K` are GNU tar's. */
export const EXTENDED_HEADERS: ReadonlyMap<string, ExtendedHeader> = new Map([
  ['x', { limit: MAX_EXTENDED_SIZE, decode: decodePax }],
  ['g', { limit: MAX_EXTENDED_SIZE, decode: decodeGlobalPax }],
  [
    'L',
    { limit: MAX_NAME_SIZE, decode: (body) => ({ name: decodeText(untilNul(body), 'long name') }) },
  ],
  [
    'K',
    {
      limit: MAX_NAME_SIZE,
      decode: (body) => ({ linkname: decodeText(untilNul(body), 'long link name') }),
    },
  ],
]);

/**
 * A global header, e.g. a comment of git-archive. No field that it could set for all entries is
 * supported. A time is ignored, as by container engines.
 */
function decodeGlobalPax(body: Buffer): Overrides {
  const { mtime, ...unsupported } = decodePax(body);
  if (Object.keys(unsupported).length > 0) {
    throw new OstrataError('UNSUPPORTED', 'global pax header for all entries of a tar archive');
  }
  return {};
}

/** What the extended headers before an entry say of it. */
export class EntryDescription {
  overrides: Overrides = {};
  #flags = '';

  /**
   * Adds what a header of type `flag` states. Throws `CORRUPT` if one of that type precedes it, or
   * one that states the same field: of two names, GNU tar, Go and Python take different ones.
   */
  add(flag: string, stated: Overrides): void {
    const isRepeated = flag !== 'g' && this.#flags.includes(flag);
    const both = Object.keys(stated).find((key) => Object.hasOwn(this.overrides, key));
    if (isRepeated || both !== undefined) {
      const what = both === undefined ? `of type "${flag}"` : `with a ${both}`;
      throw new OstrataError('CORRUPT', `two tar extended headers ${what} before one entry`);
    }
    this.#flags += flag;
    this.overrides = { ...this.overrides, ...stated };
  }
}
