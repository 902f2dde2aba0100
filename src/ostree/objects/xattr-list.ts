/**
 * Extended attributes in ostree objects: `a(ayay)` = name (with its NUL), value; sorted by the
 * bytes of the names. Source: ostree-core.h; the order is that of strcmp (canonicalize_xattrs).
 */
import { compareUtf8, decodeUtf8 } from '../../bytes/text.js';
import type { Xattrs } from '../../bytes/xattrs.js';
import { OstrataError } from '../../errors.js';
import { decode, encode } from '../gvariant/value.js';

const XATTRS_TYPE = 'a(ayay)';

/** Limit for the serialized attributes of one file, in bytes. bootc has the same limit. */
export const MAX_XATTRS_SIZE = 1 << 20;

export const NO_XATTRS: Xattrs = new Map();

/**
 * Decodes attributes. Throws `CORRUPT` unless their names are sorted and unique, and `LIMIT` if
 * they are too large.
 */
export function decodeXattrs(bytes: Uint8Array): Xattrs {
  if (bytes.length === 0) {
    return NO_XATTRS;
  }
  checkSize(bytes);

  const xattrs = new Map<string, Uint8Array>();
  let previous: string | undefined;
  for (const [nameBytes, value] of decode<[Uint8Array, Uint8Array][]>(XATTRS_TYPE, bytes)) {
    const name = decodeName(nameBytes);
    if (previous !== undefined && compareUtf8(previous, name) >= 0) {
      throw new OstrataError(
        'CORRUPT',
        `xattrs ${previous} and ${name} are not in ascending order`,
      );
    }
    xattrs.set(name, value);
    previous = name;
  }
  return xattrs;
}

/** Decodes a name, which must not be empty and has exactly one NUL, at its end. */
function decodeName(bytes: Uint8Array): string {
  const end = bytes.length - 1;
  const name = bytes.indexOf(0) === end ? decodeUtf8(bytes.subarray(0, end)) : undefined;
  if (!name) {
    throw new OstrataError(
      'CORRUPT',
      `invalid xattr name ${JSON.stringify(Buffer.from(bytes).toString())}`,
    );
  }
  return name;
}

function checkSize({ length }: Uint8Array): void {
  if (length > MAX_XATTRS_SIZE) {
    throw new OstrataError('LIMIT', `xattrs of ${length} bytes, at most ${MAX_XATTRS_SIZE}`);
  }
}

/**
 * Encodes attributes, sorted by name. Without attributes there are no bytes. Throws `LIMIT` for
 * attributes that {@link decodeXattrs} would refuse.
 */
export function encodeXattrs(xattrs: Xattrs): Uint8Array {
  if (xattrs.size === 0) {
    return new Uint8Array();
  }
  const sorted = [...xattrs].sort(([a], [b]) => compareUtf8(a, b));
  const members = sorted.map(([name, value]) => [new TextEncoder().encode(`${name}\0`), value]);
  const bytes = encode(XATTRS_TYPE, members);
  checkSize(bytes);
  return bytes;
}

/** Returns a function that encodes each set of attributes once: a tree has few distinct ones. */
export function xattrsEncoder(): (xattrs: Xattrs) => Uint8Array {
  const known = new Map<Xattrs, Uint8Array>();
  return (xattrs) => {
    const bytes = known.get(xattrs) ?? encodeXattrs(xattrs);
    known.set(xattrs, bytes);
    return bytes;
  };
}

/** Attributes, decoded and serialized. */
interface InternedXattrs {
  readonly xattrs: Xattrs;
  readonly bytes: Uint8Array;
}

/**
 * Keeps each distinct set of attributes in memory once: the files of a system share few of them.
 */
export class XattrsInterner {
  readonly #known = new Map<string, InternedXattrs>();

  /** Decodes `bytes`, or returns the result of an earlier call with equal bytes. */
  intern(bytes: Uint8Array): InternedXattrs {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    let interned = this.#known.get(key);
    if (interned === undefined) {
      // A copy: `bytes` is a view of an object that need not stay in memory.
      const copy = bytes.slice();
      interned = { xattrs: decodeXattrs(copy), bytes: copy };
      this.#known.set(key, interned);
    }
    return interned;
  }
}
