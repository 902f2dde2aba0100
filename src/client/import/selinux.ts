/**
 * Finds the SELinux labels that the policy in `/usr/etc/selinux` of a system gives to paths. Only
 * libselinux knows which label a path has, so the installed `ostree` is asked: it commits empty
 * files at those paths to a temporary repository.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { collect } from '../../bytes/stream.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { FileInfo } from '../../ostree/objects/file.js';
import { openRepo } from '../../ostree/repo.js';
import type { MutableTree } from '../../ostree/write/mutable-tree.js';
import { runProgram } from '../../system/program.js';
import { withTemporaryDirectory } from '../../system/temporary-directory.js';
import { writeFully } from '../../system/write-fully.js';
import { END_OF_ARCHIVE, encodeTarHeader, type TarEntry } from '../../tar/header.js';
import { openCommitTree } from '../../tree/commit.js';
import type { ByteStream } from '../../tree/tree.js';

export const SELINUX_XATTR = 'security.selinux';
/** Bytes. The file contexts of a policy take a few hundred kB, its binary form some MB. */
const MAX_POLICY_FILE = 64 << 20;

/** Reads content objects. */
interface ContentReader {
  info(checksum: string): FileInfo;
  read(checksum: string, info: FileInfo): ByteStream;
}

/** A path without a leading slash, and what is at it. */
export interface EntryToLabel extends Pick<TarEntry, 'name' | 'mode'> {
  readonly type: 'file' | 'symlink' | 'directory';
}

/** Labels, each with its terminating NUL, by path without a leading slash. */
export type SelinuxLabels = ReadonlyMap<string, Uint8Array>;

/** The directory `/usr/etc/selinux` of a system; undefined if the system has no policy. */
export function policyTree(root: MutableTree): MutableTree | undefined {
  const selinux = root.dirs.get('usr')?.dirs.get('etc')?.dirs.get('selinux');
  return selinux?.files.has('config') ? selinux : undefined;
}

/**
 * Returns the labels of those entries for which the policy has one. Returns undefined with a
 * warning if `ostree` is not installed.
 * @param policy as {@link policyTree} returns it
 */
export async function selinuxLabels(
  policy: MutableTree,
  content: ContentReader,
  entries: readonly EntryToLabel[],
  log: Logger,
): Promise<SelinuxLabels | undefined> {
  return inContextAsync('labeling derived layers', async () => {
    try {
      return await withTemporaryDirectory('ostrata-selinux-', async (scratch) => {
        await extract(policy, content, join(scratch, 'policy/usr/etc/selinux'));
        writePaths(join(scratch, 'paths.tar'), entries);
        return labelsInCommit(await commitPaths(scratch));
      });
    } catch (error) {
      if (error instanceof OstrataError && error.code === 'UNSUPPORTED') {
        log.warn(`derived layers get no SELinux labels: ${error.message}`);
        return undefined;
      }
      throw error;
    }
  });
}

async function extract(
  tree: MutableTree,
  content: ContentReader,
  directory: string,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  for (const [name, checksum] of tree.files) {
    const info = content.info(checksum);
    if (info.type === 'file') {
      await extractFile(content, checksum, info, join(directory, name));
    }
  }
  for (const [name, below] of tree.dirs) {
    await extract(below, content, join(directory, name));
  }
}

async function extractFile(
  content: ContentReader,
  checksum: string,
  info: FileInfo,
  path: string,
): Promise<void> {
  if (info.size > MAX_POLICY_FILE) {
    throw new OstrataError(
      'LIMIT',
      `SELinux policy file ${basename(path)} of ${info.size} bytes, at most ${MAX_POLICY_FILE}`,
    );
  }
  const bytes = await collect(content.read(checksum, info), info.size);
  const fd = openSync(path, 'wx');
  try {
    writeFully(fd, bytes);
  } finally {
    closeSync(fd);
  }
}

/** Writes a tar with an empty file, a directory or a symlink for each entry. */
function writePaths(path: string, entries: readonly EntryToLabel[]): void {
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(path, 'wx');
  try {
    for (const { name, type, mode } of entries) {
      const linkname = type === 'symlink' ? 'target' : undefined;
      writeFully(fd, encodeTarHeader({ name, type, mode, uid: 0, gid: 0, size: 0, linkname }));
    }
    writeFully(fd, END_OF_ARCHIVE);
  } finally {
    closeSync(fd);
  }
}

/** Commits `paths.tar` with labels by the extracted policy; returns the repository's path. */
async function commitPaths(scratch: string): Promise<string> {
  const repo = join(scratch, 'repo');
  await runOstree(['init', `--repo=${repo}`, '--mode=archive']);
  await runOstree([
    'commit',
    `--repo=${repo}`,
    '--branch=labels',
    `--tree=tar=${join(scratch, 'paths.tar')}`,
    '--no-bindings',
    '--tar-autocreate-parents',
    `--selinux-policy=${join(scratch, 'policy')}`,
  ]);
  return repo;
}

function labelsInCommit(repoPath: string): SelinuxLabels {
  const repo = openRepo(repoPath);
  const labels = new Map<string, Uint8Array>();
  for (const { path, xattrs } of openCommitTree(repo, repo.resolve('labels')).files) {
    const label = xattrs.get(SELINUX_XATTR);
    if (label !== undefined) {
      labels.set(path.slice(1), label);
    }
  }
  return labels;
}

async function runOstree(args: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram('ostree', args, { purpose: 'labeling' });
  if (code !== 0) {
    throw new OstrataError('IO', `ostree ${args[0]}: ${stderr.trim() || `exit code ${code}`}`);
  }
}
