/** The files of an entry of the layer cache: the blob, and entry.json with digests and sizes. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseJson } from '../bytes/json.js';
import { digestSchema, sizeSchema } from '../oci/types.js';
import type { BlobResult } from './writer.js';

export const ENTRY_FILES: readonly string[] = ['blob', 'entry.json'];

/** Limit for entry.json, in bytes: the cache writes no larger ones. */
const MAX_ENTRY_JSON_SIZE = 10_000;

const entrySchema = v.object({
  diffId: digestSchema,
  digest: digestSchema,
  size: sizeSchema,
  tarSize: sizeSchema,
});

/** Reads the entry.json of an entry. Returns undefined if it is missing or damaged. */
export function readEntry(directory: string): BlobResult | undefined {
  const path = join(directory, 'entry.json');
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0 || size > MAX_ENTRY_JSON_SIZE) {
    return undefined;
  }
  const text = readFileSync(path, 'utf8');
  try {
    return parseJson(text, entrySchema);
  } catch {
    return undefined;
  }
}

/**
 * Whether a directory holds nothing but files of an entry: the user may have named a folder in
 * which there are other things. False if it is gone.
 */
export function holdsOnlyEntryFiles(directory: string): boolean {
  try {
    return readdirSync(directory).every((file) => ENTRY_FILES.includes(file));
  } catch {
    return false; // a file, or another process removed the directory
  }
}
