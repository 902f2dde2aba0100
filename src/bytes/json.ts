/** JSON from outside, checked against a valibot schema before anything uses it. */
import * as v from 'valibot';
import { messageOf, OstrataError } from '../errors.js';

/**
 * Most levels of arrays and objects within each other. No document that is read here needs a dozen;
 * thousands of them end the recursion of programs that walk the value.
 */
const MAX_DEPTH = 64;

/**
 * Parses `text` and returns its value as `schema` describes it. Throws what {@link decodeJson}
 * throws, and `CORRUPT` if a member does not fit the schema; the error names the first such member.
 */
export function parseJson<T extends v.GenericSchema>(text: string, schema: T): v.InferOutput<T> {
  const { success, output, issues } = v.safeParse(schema, decodeJson(text));
  if (success) {
    return output;
  }
  const member = v.getDotPath(issues[0]) ?? 'document';
  throw new OstrataError('CORRUPT', `${member}: ${issues[0].message}`);
}

/**
 * Parses `text`. Throws `CORRUPT` if it is not JSON, and `LIMIT` if it has more than 64 levels of
 * arrays and objects.
 */
export function decodeJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new OstrataError('CORRUPT', `not JSON: ${messageOf(cause)}`, { cause });
  }
  checkDepth(value, 0);
  return value;
}

/** @param depth the number of arrays and objects around `value` */
function checkDepth(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) {
    return;
  }
  if (depth === MAX_DEPTH) {
    throw new OstrataError('LIMIT', `JSON with more than ${MAX_DEPTH} levels`);
  }
  for (const member of Object.values(value)) {
    checkDepth(member, depth + 1);
  }
}
