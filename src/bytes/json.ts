/** JSON from outside, checked against a valibot schema before anything uses it. */
import * as v from 'valibot';
import { messageOf, OstrataError } from '../errors.js';

/**
 * Parses `text` and returns its value as `schema` describes it. Throws `CORRUPT` if the text is not
 * JSON, or if a member does not fit the schema; the error names the first such member.
 */
export function parseJson<T extends v.GenericSchema>(text: string, schema: T): v.InferOutput<T> {
  const { success, output, issues } = v.safeParse(schema, parse(text));
  if (success) {
    return output;
  }
  const member = v.getDotPath(issues[0]) ?? 'document';
  throw new OstrataError('CORRUPT', `${member}: ${issues[0].message}`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OstrataError('CORRUPT', `not JSON: ${messageOf(cause)}`, { cause });
  }
}
