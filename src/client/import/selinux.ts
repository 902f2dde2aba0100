/**
 * Finds the SELinux labels that the policy in `/usr/etc/selinux` of a system gives to paths. Only
 * libselinux knows which label a path has, so the installed `ostree` is asked: it commits empty
 * files at those paths to a temporary repository.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { basename, join } from 'node:path';
import { collect } from '../../bytes/stream.js';
import { compareUtf8 } from '../../bytes/text.js';
import { inContextAsync, OstrataError } from '../../errors.js';
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
/** Stands for the policy by which files without labels are labeled. */
export const NO_POLICY_ID = 'none';
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

/** A policy that was written out so that `ostree` can be asked about it. */
export interface SelinuxPolicy {
  /** Equal for policies of the same files: they give every path the same label. */
  readonly id: string;
  /** Returns the labels of those entries for which the policy has one. */
  labels(entries: readonly EntryToLabel[]): Promise<SelinuxLabels>;
}

/** What labels the files of a system that has no policy: none does. */
const NO_POLICY: SelinuxPolicy = { id: NO_POLICY_ID, labels: async () => new Map() };

/**
 * Runs `body` with a policy, whose `labels` throws `UNSUPPORTED` if `ostree` is not installed.
 * @param policy as {@link policyTree} returns it
 */
export async function withPolicy<T>(
  policy: MutableTree | undefined,
  content: ContentReader,
  body: (policy: SelinuxPolicy) => Promise<T>,
): Promise<T> {
  if (policy === undefined) {
    return body(NO_POLICY);
  }
  return withTemporaryDirectory('ostrata-selinux-', async (directory) => {
    const hash = createHash('sha256');
    await extract(policy, content, join(directory, 'usr/etc/selinux'), hash);
    const id = hash.digest('hex');
    const labels = (entries: readonly EntryToLabel[]) => labelsByPolicy(directory, entries);
    return body({ id, labels });
  });
}

/** @param policy the directory that has the policy in `usr/etc/selinux` */
function labelsByPolicy(policy: string, entries: readonly EntryToLabel[]): Promise<SelinuxLabels> {
  return inContextAsync('labeling derived layers', () =>
    withTemporaryDirectory('ostrata-selinux-', async (scratch) => {
      writePaths(join(scratch, 'paths.tar'), entries);
      return labelsInCommit(await commitPaths(scratch, policy));
    }),
  );
}

/** Writes the files of a policy and hashes their names and content, in an order of their own. */
async function extract(
  tree: MutableTree,
  content: ContentReader,
  directory: string,
  hash: Hash,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  for (const [name, checksum] of [...tree.files].sort(byName)) {
    const info = content.info(checksum);
    if (info.type === 'file') {
      hash.update(`file ${info.size} ${name}\0`);
      hash.update(await extractFile(content, checksum, info, join(directory, name)));
    }
  }
  for (const [name, below] of [...tree.dirs].sort(byName)) {
    hash.update(`directory ${name}\0`);
    await extract(below, content, join(directory, name), hash);
  }
  hash.update('end\0');
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return compareUtf8(a, b);
}

async function extractFile(
  content: ContentReader,
  checksum: string,
  info: FileInfo,
  path: string,
): Promise<Uint8Array> {
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
  return bytes;
}

/** Writes a tar with an empty file, a directory or a symlink for each entry. */
function writePaths(path: string, entries: readonly EntryToLabel[]): void {
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

/** Commits `paths.tar` with labels by the policy; returns the repository's path. */
async function commitPaths(scratch: string, policy: string): Promise<string> {
  const repo = join(scratch, 'repo');
  await runOstree(['init', `--repo=${repo}`, '--mode=archive']);
  await runOstree([
    'commit',
    `--repo=${repo}`,
    '--branch=labels',
    `--tree=tar=${join(scratch, 'paths.tar')}`,
    '--no-bindings',
    '--tar-autocreate-parents',
    `--selinux-policy=${policy}`,
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
