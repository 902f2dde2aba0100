/** JSON and digests of the documents that describe an image. */
import { createHash } from 'node:crypto';
import { compareUtf8 } from '../bytes/text.js';

/**
 * Encodes a value as JSON without white space. Members are sorted by the bytes of their names and
 * undefined ones are left out, so that equal values become equal bytes.
 */
export function canonicalJson(value: unknown): Uint8Array {
  return Buffer.from(serialize(value));
}

/**
 * Objects are not left to JSON.stringify, because sorting their members beforehand would not be
 * enough: an object always lists names that look like array indexes first.
 */
function serialize(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map((item) => serialize(item ?? null)).join()}]`;
  }
  if (typeof value !== 'object' || value === null) {
    return JSON.stringify(value);
  }

  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => compareUtf8(a, b));
  const texts = members.map(([name, member]) => `${JSON.stringify(name)}:${serialize(member)}`);
  return `{${texts.join()}}`;
}

/** Returns the digest `sha256:HEX` of `bytes`. */
export function sha256Digest(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
