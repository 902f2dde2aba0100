import * as v from 'valibot';
import { OstrataError } from '../errors.js';

/** What `text` says by `schema`; throws `CORRUPT`, naming the member, where it is not JSON of that shape. */
export function parseJson<T extends v.GenericSchema>(text: string, schema: T): v.InferOutput<T> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new OstrataError('CORRUPT', `not JSON: ${(cause as Error).message}`, { cause });
  }
  const { success, output, issues } = v.safeParse(schema, json);
  if (success) {
    return output;
  }
  throw new OstrataError(
    'CORRUPT',
    `${v.getDotPath(issues[0]) ?? 'document'}: ${issues[0].message}`,
  );
}
