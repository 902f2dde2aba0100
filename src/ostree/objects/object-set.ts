/**
 * Object sets (bootc's ostree-ext, `tar/import.rs`): a commit that keeps the content objects of one
 * chunk layer in a repository. Its tree is one directory, where each file is named by its own
 * checksum. Equal sets have equal commits.
 */
import { encodeCommit } from './commit.js';
import { encodeDirmeta, S_IFDIR } from './dirmeta.js';
import { encodeDirtree } from './dirtree.js';
import { type MetadataKind, type ObjectName, sha256Hex } from './object-name.js';

/** A metadata object and its name. */
export interface EncodedObject extends ObjectName<MetadataKind> {
  readonly bytes: Uint8Array;
}

/** Returns the metadata objects of the set of content objects `files`, the commit last. */
export function objectSet(
  files: Iterable<string>,
): readonly [dirmeta: EncodedObject, dirtree: EncodedObject, commit: EncodedObject] {
  const entries = [...files].sort().map((checksum) => ({ name: checksum, checksum }));
  const dirmeta = namedObject(
    'dirmeta',
    encodeDirmeta({ uid: 0, gid: 0, mode: S_IFDIR | 0o755, xattrs: new Map() }),
  );
  const dirtree = namedObject('dirtree', encodeDirtree({ files: entries, dirs: [] }));
  const commit = namedObject(
    'commit',
    encodeCommit({
      metadata: new Map(),
      related: [],
      subject: '',
      body: '',
      timestamp: 0,
      dirtree: dirtree.checksum,
      dirmeta: dirmeta.checksum,
    }),
  );
  return [dirmeta, dirtree, commit];
}

function namedObject(kind: MetadataKind, bytes: Uint8Array): EncodedObject {
  return { kind, checksum: sha256Hex(bytes), bytes };
}
