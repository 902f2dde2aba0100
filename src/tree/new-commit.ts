/**
 * A commit that is made in memory of any tree: what `ostree commit` would write, but without a
 * repository. The rules are those of `rpm-ostree compose build-chunked-oci`
 * (https://github.com/coreos/rpm-ostree/blob/main/rust/src/compose.rs): what is below `/sysroot` is
 * left out, and `/etc` becomes `/usr/etc`.
 */
import { OstrataError } from '../errors.js';
import { type Commit, encodeCommit, type Metadata } from '../ostree/objects/commit.js';
import { sha256Hex } from '../ostree/objects/object-name.js';
import { type CommitTree, commitEntries } from './commit.js';
import { CommitBuilder } from './commit-objects.js';
import { walkCommit } from './commit-walk.js';
import { type LocatedTree, readFunctions } from './content-location.js';
import { FileMap } from './file-map.js';
import { committedPath } from './path.js';

/** What a commit says besides its tree. */
export interface NewCommit {
  readonly metadata?: Metadata | undefined;
  /** Checksum of the parent commit. */
  readonly parent?: string | undefined;
  readonly subject?: string | undefined;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

/** The tree of a commit, before it is known what the commit says. */
export interface UncommittedTree extends Omit<CommitTree, 'commit' | 'detachedMetadata'> {
  readonly root: { readonly dirtree: string; readonly dirmeta: string };
}

/**
 * Makes the objects of the directories of a tree whose entries have their final attributes. Throws
 * `UNSUPPORTED` if there are both `/etc` and `/usr/etc`, or if one of them or `/usr` is no
 * directory.
 */
export function uncommittedTree(source: LocatedTree): UncommittedTree {
  const isDeployed = hasDeployedEtc(source);
  const builder = new CommitBuilder();
  for (const entry of source.files) {
    if (!entry.path.startsWith('/sysroot/')) {
      builder.add(committedPath(entry.path), entry);
    }
  }
  const made = builder.finish();
  const { root, objects, loadBytes } = made;
  const walk = walkCommit(made);
  const { directories } = walk;
  const { name, content, fetch, close } = source;
  const located = {
    name,
    files: new FileMap(commitEntries(walk, objects)),
    content: { ...content, isDeployed },
    fetch,
    close,
  };
  return { ...located, ...readFunctions(located), root, directories, objects, loadBytes };
}

/** Returns the tree with a new commit. */
export function committedTree(
  { root, ...tree }: UncommittedTree,
  { metadata = new Map(), parent, subject = '', timestamp }: NewCommit,
): CommitTree {
  const parsed: Commit = {
    metadata,
    parent,
    related: [],
    subject,
    body: '',
    timestamp,
    dirtree: root.dirtree,
    dirmeta: root.dirmeta,
  };
  const bytes = encodeCommit(parsed);
  const commit = { checksum: sha256Hex(bytes), bytes, parsed };
  return { ...tree, commit, detachedMetadata: undefined };
}

/** Whether the tree has `/etc`, which its commit has as `/usr/etc`. */
function hasDeployedEtc({ name, files }: LocatedTree): boolean {
  const etc = files.get('/etc');
  const usr = files.get('/usr');
  const usrEtc = files.get('/usr/etc');
  for (const entry of [etc, usr, usrEtc]) {
    if (entry !== undefined && entry.type !== 'directory') {
      throw new OstrataError('UNSUPPORTED', `${name}: ${entry.path} is not a directory`);
    }
  }
  if (etc !== undefined && usrEtc !== undefined) {
    throw new OstrataError(
      'UNSUPPORTED',
      `${name} has both /etc and /usr/etc, which are the same directory in a commit; ` +
        '--prune leaves out one of them',
    );
  }
  if (etc !== undefined && usr === undefined) {
    throw new OstrataError('UNSUPPORTED', `${name} has /etc, but no /usr that could hold it`);
  }
  return etc !== undefined;
}
