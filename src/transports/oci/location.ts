/**
 * The location of an image on disk, as in the references `oci:DIR[:TAG]` and
 * `oci-archive:FILE[:TAG]`.
 */
import { OstrataError } from '../../errors.js';

export interface TaggedPath {
  readonly path: string;
  readonly tag?: string | undefined;
}

/**
 * Splits `PATH[:TAG]`. As in the library containers/image, a path cannot contain a colon. Throws
 * `USAGE` if the path or the tag is empty.
 */
export function splitTag(location: string): TaggedPath {
  const [path = '', ...rest] = location.split(':');
  const tag = rest.length > 0 ? rest.join(':') : undefined;
  if (path === '' || tag === '') {
    throw new OstrataError(
      'USAGE',
      `image reference ${JSON.stringify(location)}: expected PATH[:TAG]`,
    );
  }
  return { path, tag };
}
