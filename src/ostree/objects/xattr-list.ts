/**
 * Extended attributes in ostree objects: `a(ayay)` = name (with its NUL), value; sorted by the bytes of the names.
 * Source: ostree-core.h; the order is that of strcmp (canonicalize_xattrs).
 */
import { compareUtf8, decodeUtf8 } from '../../bytes/text.js';
import type { Xattrs } from '../../bytes/xattrs.js';
import { OstrataError } from '../../errors.js';
import { decode, encode } from '../gvariant/value.js';

const XATTRS_TYPE = 'a(ayay)';

/** All attributes of one file together; importers of encapsulated images (bootc) have the same bound. */
export const MAX_XATTRS_SIZE = 1 << 20;

export const NO_XATTRS: Xattrs = new Map();

export function decodeXattrs(bytes: Uint8Array): Xattrs {
  if (bytes.length === 0) {
    return NO_XATTRS;
  }
  if (bytes.length > MAX_XATTRS_SIZE) {
    throw new OstrataError('LIMIT', `xattrs of ${bytes.length} bytes, at most ${MAX_XATTRS_SIZE}`);
  }
  const xattrs = new Map<string, Uint8Array>();
  let previous: string | undefined;
  for (const [nameBytes, value] of decode(XATTRS_TYPE, bytes) as [Uint8Array, Uint8Array][]) {
    const end = nameBytes.length - 1;
    const name = nameBytes.indexOf(0) === end ? decodeUtf8(nameBytes.subarray(0, end)) : undefined;
    if (!name) {
      throw new OstrataError(
        'CORRUPT',
        `xattr name ${JSON.stringify(Buffer.from(nameBytes).toString())}`,
      );
    }
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

/** Sorts by name; no attributes are no bytes. */
export function encodeXattrs(xattrs: Xattrs): Uint8Array {
  if (xattrs.size === 0) {
    return new Uint8Array();
  }
  const sorted = [...xattrs].sort(([a], [b]) => compareUtf8(a, b));
  return encode(
    XATTRS_TYPE,
    sorted.map(([name, value]) => [new TextEncoder().encode(`${name}\0`), value]),
  );
}

/** Files share few distinct sets of attributes: one Map in memory for each. */
export class XattrsInterner {
  readonly #known = new Map<string, { readonly xattrs: Xattrs; readonly bytes: Uint8Array }>();

  /** Decodes `bytes`, copying them unless the same were seen before. */
  intern(bytes: Uint8Array): { readonly xattrs: Xattrs; readonly bytes: Uint8Array } {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    let entry = this.#known.get(key);
    if (entry === undefined) {
      const copy = bytes.slice();
      entry = { xattrs: decodeXattrs(copy), bytes: copy };
      this.#known.set(key, entry);
    }
    return entry;
  }
}
