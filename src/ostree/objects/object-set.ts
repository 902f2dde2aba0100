/**
 * Object sets (bootc's ostree-ext, `tar/import.rs`): a commit that keeps the content objects of one chunk layer in a
 * repository. Its tree is flat, each file named by its own checksum; equal sets have equal commits.
 */
import { encodeCommit } from './commit.js';
import { encodeDirmeta, S_IFDIR } from './dirmeta.js';
import { encodeDirtree } from './dirtree.js';
import { type MetadataKind, sha256Hex } from './object-name.js';

export interface EncodedObject {
  readonly kind: MetadataKind;
  readonly checksum: string;
  readonly bytes: Uint8Array;
}

/** The three metadata objects of the set, the commit last. */
export function objectSet(
  files: Iterable<string>,
): readonly [EncodedObject, EncodedObject, EncodedObject] {
  const object = (kind: MetadataKind, bytes: Uint8Array) => ({
    kind,
    checksum: sha256Hex(bytes),
    bytes,
  });
  const sorted = [...files].sort();
  const dirmeta = object(
    'dirmeta',
    encodeDirmeta({ uid: 0, gid: 0, mode: S_IFDIR | 0o755, xattrs: new Map() }),
  );
  const dirtree = object(
    'dirtree',
    encodeDirtree({ files: sorted.map((checksum) => ({ name: checksum, checksum })), dirs: [] }),
  );
  const commit = encodeCommit({
    metadata: new Map(),
    related: [],
    subject: '',
    body: '',
    timestamp: 0,
    dirtree: dirtree.checksum,
    dirmeta: dirmeta.checksum,
  });
  return [dirmeta, dirtree, object('commit', commit)];
}
