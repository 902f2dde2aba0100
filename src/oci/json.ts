import { createHash } from 'node:crypto';
import { compareUtf8 } from '../bytes/text.js';

/** JSON without white space, members sorted by the bytes of their names, undefined ones left out: equal values, equal bytes. */
export function canonicalJson(value: unknown): Uint8Array {
  return Buffer.from(serialize(value));
}

/** Not by a replacer that sorts: objects list names that look like array indexes first, whatever order they were given. */
function serialize(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map((each) => serialize(each ?? null)).join()}]`;
  }
  if (typeof value !== 'object' || value === null) {
    return JSON.stringify(value);
  }
  const members = Object.entries(value).filter(([, each]) => each !== undefined);
  const sorted = members.sort(([a], [b]) => compareUtf8(a, b));
  return `{${sorted.map(([name, each]) => `${JSON.stringify(name)}:${serialize(each)}`).join()}}`;
}

/** `sha256:HEX` of `bytes`. */
export function sha256Digest(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
