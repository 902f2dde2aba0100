/**
 * The rows for images of a root file system, the checked-out commit: plain ones beside tar and
 * gzip, and beside chunkah where that is installed, and encapsulated ones beside `ostree commit`.
 */
import { appendFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { blobBytes, type Measurement, measureNode, measureShell } from './measure.js';
import { has, isRoot, type Place, program, type Subject } from './subjects.js';

/** A file of a package that every system has. */
const CHANGED_FILE = 'usr/bin/bash';
const COLD = 'ostrata build, gzip, 2 jobs';
const COMMITTED = 'ostree commit, then encapsulated, gzip, 2 jobs';
const TAR_GZIP = 'tar of the tree | gzip -6';

/** `$1` is a new repository, `$2` the tree, `$3` Node, `$4` the program, `$5` the image. */
const COMMIT_AND_ENCAPSULATE = `
set -e
ostree init --repo="$1" --mode=bare-user
commit=$(ostree commit --repo="$1" --orphan --tree=dir="$2" --selinux-policy="$2")
"$3" "$4" container-encapsulate --quiet --no-cache --jobs=2 --repo="$1" "$commit" "$5" >&2`;

export function buildSubjects({ repo, ref, scratch }: Place): Subject[] {
  // A checkout by another user has other owners, and so is another tree.
  if (!has('ostree') || !isRoot('builds of a root file system are')) {
    return [];
  }
  const at = (name: string) => join(scratch, name);
  const rootfs = () => checkedOut(repo, ref, at('tree'));
  const build = (name: string, ...options: readonly string[]): Measurement => {
    rmSync(at(name), { recursive: true, force: true });
    const call = ['build', `--rootfs=${rootfs()}`, '--quiet', '--no-cache', '--jobs=2'];
    const args = [program, ...call, ...options, `oci:${at(name)}:bench`];
    return { ...measureNode(args), bytesOut: blobBytes(at(name)) };
  };
  const committed = (): Measurement => {
    for (const name of ['tree-repo', 'committed']) {
      rmSync(at(name), { recursive: true, force: true });
    }
    const target = `oci:${at('committed')}:bench`;
    const args = [at('tree-repo'), rootfs(), process.execPath, program, target];
    return {
      ...measureShell(COMMIT_AND_ENCAPSULATE, ...args),
      bytesOut: blobBytes(at('committed')),
    };
  };
  const after = `--previous-build=oci:${at('built')}:bench`;

  const list: (Subject | false)[] = [
    {
      name: TAR_GZIP,
      run: () => measureShell('tar -c -C "$1" . | gzip -6 | wc -c', rootfs()),
    },
    {
      name: 'ostrata build, uncompressed, 2 jobs',
      run: () => build('built-other', '--compression=none'),
    },
    {
      name: COLD,
      reference: TAR_GZIP,
      run: () => build('built'),
    },
    {
      name: 'ostrata build, zstd, 2 jobs',
      reference: COLD,
      run: () => build('built-other', '--compression=zstd'),
    },
    has('chunkah') && {
      name: 'chunkah build, gzip',
      reference: COLD,
      run: () => measureShell('chunkah build --rootfs "$1" --compressed | wc -c', rootfs()),
    },
    {
      name: 'ostrata build, nothing changed',
      reference: COLD,
      run: () => build('built-other', after),
    },
    {
      name: COMMITTED,
      run: committed,
    },
    {
      name: 'ostrata build --format=ostree, gzip, 2 jobs',
      reference: COMMITTED,
      run: () => build('built-other', '--format=ostree'),
    },
    {
      name: 'ostrata build, one package changed',
      reference: COLD,
      run: () => {
        const tree = rootfs();
        appendFileSync(join(tree, CHANGED_FILE), 'changed');
        const result = build('built-other', after);
        rmSync(tree, { recursive: true });
        return result;
      },
    },
  ];
  return list.filter((subject) => subject !== false);
}

/** Returns the tree of a commit as copies of its files; hard links would be one file. */
function checkedOut(repo: string, ref: string, tree: string): string {
  if (!existsSync(tree)) {
    measureShell('ostree checkout --force-copy --repo="$1" "$2" "$3"', repo, ref, tree);
  }
  return tree;
}
