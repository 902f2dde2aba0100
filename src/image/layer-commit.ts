/** The commit in the first layer of an encapsulated image, once that layer has been read. */
import { inContext, OstrataError } from '../errors.js';
import type { LayerContents } from '../layers/read.js';
import { decodeCommit } from '../ostree/objects/commit.js';
import { decodeDirmeta } from '../ostree/objects/dirmeta.js';
import { decodeDirtree } from '../ostree/objects/dirtree.js';
import {
  encodeObjectName,
  type MetadataKind,
  parseObjectName,
} from '../ostree/objects/object-name.js';
import type { CommitMetadata } from '../tree/commit-walk.js';

export interface LayerCommit extends CommitMetadata {
  /** Checksum of the commit. */
  readonly checksum: string;
}

/** Decodes the commit. Throws `CORRUPT` if it, or later an object that is asked for, is broken. */
export function decodeLayerCommit({ metadata }: Pick<LayerContents, 'metadata'>): LayerCommit {
  function decodeObject<T>(
    checksum: string,
    kind: MetadataKind,
    decode: (bytes: Uint8Array) => T,
  ): T {
    const name = encodeObjectName(checksum, kind);
    const bytes = metadata.get(name);
    if (bytes === undefined) {
      throw new OstrataError('CORRUPT', `layer 0: object ${name} is missing`);
    }
    return inContext(`layer 0: object ${name}`, () => decode(bytes));
  }

  const [firstName = ''] = metadata.keys();
  const { checksum } = parseObjectName(firstName, ['commit']);
  const { dirtree, dirmeta } = decodeObject(checksum, 'commit', decodeCommit);
  return {
    checksum,
    root: { dirtree, dirmeta },
    loadDirtree: (each) => decodeObject(each, 'dirtree', decodeDirtree),
    loadDirmeta: (each) => decodeObject(each, 'dirmeta', decodeDirmeta),
  };
}
