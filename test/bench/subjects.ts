/**
 * The rows for encapsulating a commit; most have a reference, a program that handles the same
 * bytes.
 */
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { repoRoot } from '../support/root.js';
import { blobBytes, type Measurement, measure, measureNode, measureShell } from './measure.js';

export const program = join(repoRoot, 'dist/src/cli/main.js');
const gzipStreams = fileURLToPath(new URL('./gzip-streams.js', import.meta.url));

export interface Subject {
  readonly name: string;
  /** The name of the subject that it is compared with. */
  readonly reference?: string;
  /** The name of the subject that makes what this one reads, unless that is `reference`. */
  readonly uses?: string;
  readonly run: () => Measurement | Promise<Measurement>;
}

export interface Place {
  readonly repo: string;
  readonly ref: string;
  /** The next build, if there is one. */
  readonly next: { readonly repo: string; readonly ref: string } | undefined;
  /** A folder for everything that is made. */
  readonly scratch: string;
}

const programs = new Map<string, boolean>();
/** Whether a program is installed; reports once that its rows are left out. */
export const has = (command: string) => {
  const known =
    programs.get(command) ?? spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
  if (!known && !programs.has(command)) {
    console.error(`bench: ${command} is missing: what needs it is SKIPPED`);
  }
  programs.set(command, known);
  return known;
};
/** Whether the user is root: others cannot make a folder that root owns. */
export const isRoot = (what: string) => {
  const root = process.getuid?.() === 0;
  if (!root) {
    console.error(`bench: not root: ${what} SKIPPED`);
  }
  return root;
};

/** Returns the subjects that can run here, in order: later ones use what earlier ones made. */
export function subjects({ repo, ref, next, scratch }: Place): Subject[] {
  const at = (name: string) => join(scratch, name);
  const cache = `--cache=${at('cache')}`;
  const encapsulate = (
    from: string,
    commit: string,
    name: string,
    ...options: readonly string[]
  ) => {
    rmSync(at(name), { recursive: true, force: true });
    const call = [
      'container-encapsulate',
      `--repo=${from}`,
      '--quiet',
      ...options,
      commit,
      `oci:${at(name)}:bench`,
    ];
    return { ...measureNode([program, ...call]), bytesOut: blobBytes(at(name)) };
  };
  const cold = (name: string, ...options: readonly string[]) =>
    encapsulate(repo, ref, name, '--no-cache', ...options);
  const layers = at('none/blobs/sha256');
  const previous = `--previous-build=oci:${at('gzip')}:bench`;
  const zstdReference = 'tar | zstd -3 -T2';

  const list: (Subject | false)[] = [
    // The first one warms the page cache, and its layers are what the references compress.
    { name: 'ostrata, uncompressed', run: () => cold('none', '--compression=none', '--jobs=2') },
    {
      name: 'two Node gzip streams',
      run: () => measureNode([gzipStreams, layers, '2', '6'], Number),
    },
    {
      name: 'ostrata, gzip, 2 jobs',
      reference: 'two Node gzip streams',
      run: () => cold('gzip', '--jobs=2'),
    },
    {
      name: 'ostrata, gzip, 1 job',
      reference: 'two Node gzip streams',
      run: () => cold('other', '--jobs=1'),
    },
    {
      name: 'tar | gzip -6',
      run: () => measureShell('tar -c -C "$1" . | gzip -6 | wc -c', layers),
    },
    has('pigz') && {
      name: 'tar | pigz -6 -p2',
      run: () => measureShell('tar -c -C "$1" . | pigz -6 -p2 | wc -c', layers),
    },
    {
      name: 'two Node gzip streams, level 1',
      run: () => measureNode([gzipStreams, layers, '2', '1'], Number),
    },
    {
      name: 'ostrata, gzip level 1, 2 jobs',
      reference: 'two Node gzip streams, level 1',
      run: () => cold('other', '--compression-level=1', '--jobs=2'),
    },
    has('zstd') && {
      name: zstdReference,
      run: () => measureShell('tar -c -C "$1" . | zstd -3 -T2 -q | wc -c', layers),
    },
    {
      name: 'ostrata, zstd, 2 jobs',
      ...(has('zstd') && { reference: zstdReference }),
      run: () => cold('other', '--compression=zstd', '--jobs=2'),
    },
    has('skopeo') && {
      name: 'skopeo copy of it, gzip',
      run: () => {
        rmSync(at('skopeo'), { recursive: true, force: true });
        const copy = [
          'skopeo',
          'copy',
          '-q',
          '--dest-compress-format=gzip',
          `oci:${at('none')}:bench`,
        ];
        return { ...measure([...copy, `dir:${at('skopeo')}`]) };
      },
    },
    has('ostree') && {
      name: 'ostree fsck (reads and hashes)',
      run: () => measure(['ostree', 'fsck', '-q', `--repo=${repo}`]),
    },
    {
      name: 'ostrata, planned only',
      run: () =>
        measureNode([
          program,
          'container-encapsulate',
          `--repo=${repo}`,
          '-q',
          '--dry-run',
          ref,
          `oci:${at('dry')}`,
        ]),
    },
    {
      name: 'ostrata, filling the cache',
      run: () => encapsulate(repo, ref, 'other', cache, '--jobs=2'),
    },
    {
      name: 'ostrata, rebuilt with the cache',
      reference: 'ostrata, gzip, 2 jobs',
      uses: 'ostrata, filling the cache',
      run: () => encapsulate(repo, ref, 'other', cache),
    },
    {
      name: 'ostrata, rebuilt after the image',
      reference: 'ostrata, gzip, 2 jobs',
      run: () => encapsulate(repo, ref, 'other', '--no-cache', previous),
    },
    has('ostree') &&
      isRoot('a changed file is') && {
        name: 'ostrata, one file of 1 MB changed',
        reference: 'ostrata, gzip, 2 jobs',
        run: () =>
          encapsulate(changedRepo(repo, ref, scratch), 'changed', 'other', '--no-cache', previous),
      },
    next !== undefined && {
      name: 'ostrata, the next build',
      reference: 'ostrata, gzip, 2 jobs',
      run: () => encapsulate(next.repo, next.ref, 'other', '--no-cache', previous, '--jobs=2'),
    },
  ];
  return list.filter((subject) => subject !== false);
}

/** Returns subjects for repositories of other modes, which are made when they first run. */
export function modeSubjects({ repo, ref, scratch }: Place): Subject[] {
  if (!has('ostree')) {
    return [];
  }
  return ['archive', 'bare-user'].map((mode) => ({
    name: `ostrata, gzip, 2 jobs, ${mode}`,
    reference: 'ostrata, gzip, 2 jobs',
    run: () => {
      const copy = join(scratch, mode);
      const script =
        'ostree init --repo="$1" --mode="$2" && ostree pull-local --repo="$1" "$3" "$4" >/dev/null';
      try {
        statSync(copy, { throwIfNoEntry: true });
      } catch {
        measureShell(script, copy, mode, repo, ref);
      }
      const image = join(scratch, 'other');
      rmSync(image, { recursive: true, force: true });
      const call = [
        'container-encapsulate',
        `--repo=${copy}`,
        '-q',
        '--no-cache',
        '--jobs=2',
        ref,
        `oci:${image}:bench`,
      ];
      return { ...measureNode([program, ...call]), bytesOut: blobBytes(image) };
    },
  }));
}

const CHANGE_SCRIPT = `
  mode=$(ostree config --repo="$2" get core.mode) &&
    ostree init --repo="$1" --mode="$mode" &&
    ostree config --repo="$1" set core.parent "$2" &&
    ostree commit --repo="$1" -b changed --tree=ref="$3" --tree=dir="$4" >/dev/null
`;

const CHANGED_FILE = 'usr/bin/bash';
const CHANGED_BYTES = 1_000_000;

/**
 * Makes a repository whose branch `changed` differs from `ref` in one file; `repo` is unchanged.
 */
function changedRepo(repo: string, ref: string, scratch: string): string {
  const [changed, overlay] = [join(scratch, 'changed'), join(scratch, 'overlay')];
  rmSync(changed, { recursive: true, force: true });
  const file = join(overlay, CHANGED_FILE);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, randomFillSync(Buffer.alloc(CHANGED_BYTES)), { mode: 0o755 });
  measureShell(
    CHANGE_SCRIPT,
    changed,
    repo,
    spawnSync('ostree', ['rev-parse', `--repo=${repo}`, ref], { encoding: 'utf8' }).stdout.trim(),
    overlay,
  );
  return changed;
}
