/**
 * Whiteouts: empty files in a layer that remove files of lower layers.
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
 */
import { OstrataError } from '../errors.js';

/** What the names of all whiteouts begin with. */
export const WHITEOUT_PREFIX = '.wh.';
const OPAQUE = '.wh..wh..opq';
/**
 * Bookkeeping of AUFS (hard links, orphans) that old builders left in layers; not part of the
 * image.
 */
const AUFS_PREFIX = '.wh..wh.';

export type Whiteout =
  /** Removes everything that lower layers have in the whiteout's directory. */
  | { readonly kind: 'opaque' }
  /** Removes `name` from the whiteout's directory. */
  | { readonly kind: 'removal'; readonly name: string }
  /** A file or directory of AUFS, which is not part of the image and removes nothing. */
  | { readonly kind: 'aufs' };

/**
 * The whiteout that a file name (the last component of a path) stands for; undefined for any other
 * name. Throws `CORRUPT` if the whiteout names no file.
 */
export function parseWhiteout(fileName: string): Whiteout | undefined {
  if (!fileName.startsWith(WHITEOUT_PREFIX)) {
    return undefined;
  }
  if (fileName === OPAQUE) {
    return { kind: 'opaque' };
  }
  if (fileName.startsWith(AUFS_PREFIX)) {
    return { kind: 'aufs' };
  }
  const name = fileName.slice(WHITEOUT_PREFIX.length);
  if (name === '' || name === '.' || name === '..') {
    throw new OstrataError('CORRUPT', `whiteout ${JSON.stringify(fileName)} names no file`);
  }
  return { kind: 'removal', name };
}

/** Whether a directory of that name holds AUFS bookkeeping, which is not part of the image. */
export function isAufsDirectory(name: string): boolean {
  return name.startsWith(AUFS_PREFIX);
}
