/**
 * SELinux labels for files by the policy in `/usr/etc/selinux` of a system. Which label a path has is a matter of
 * libselinux: the installed `ostree` is asked, by a commit of empty files at those paths into a repository that is thrown
 * away.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { collect } from '../../bytes/stream.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { FileInfo } from '../../ostree/objects/file.js';
import { openRepo } from '../../ostree/repo.js';
import type { MutableTree } from '../../ostree/write/mutable-tree.js';
import { runProgram } from '../../system/program.js';
import { writeFully } from '../../system/write-fully.js';
import { END_OF_ARCHIVE, encodeTarHeader, type TarEntry } from '../../tar/header.js';
import { openCommitTree } from '../../tree/commit.js';
import type { ByteStream } from '../../tree/tree.js';

export const SELINUX_XATTR = 'security.selinux';
/** A policy's contexts are a few hundred kB, its binary form some MB. */
const MAX_POLICY_FILE = 64 << 20;

/** Reads content objects. */
export interface ContentReader {
  info(checksum: string): FileInfo;
  read(checksum: string, info: FileInfo): ByteStream;
}

/** A path without leading slash, and what is there. */
export type LabelledEntry = Pick<TarEntry, 'name' | 'mode'> & {
  readonly type: 'file' | 'symlink' | 'directory';
};

/** Whether a system has a policy. */
export function hasPolicy(root: MutableTree): boolean {
  return policyOf(root)?.files.get('config') !== undefined;
}

function policyOf(root: MutableTree): MutableTree | undefined {
  return root.dirs.get('usr')?.dirs.get('etc')?.dirs.get('selinux');
}

/**
 * Labels (with their NUL) by path, of those that have one, by the policy that `root` has; undefined where ostree is not
 * installed, of which a warning tells.
 */
export async function selinuxLabels(
  root: MutableTree,
  content: ContentReader,
  entries: readonly LabelledEntry[],
  log: Logger,
): Promise<ReadonlyMap<string, Uint8Array> | undefined> {
  const policy = policyOf(root) as MutableTree;
  return inContextAsync('labelling derived layers', async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'ostrata-selinux-'));
    try {
      await extract(policy, content, join(scratch, 'policy/usr/etc/selinux'));
      writePaths(join(scratch, 'paths.tar'), entries);
      const repo = join(scratch, 'repo');
      await ostree(['init', `--repo=${repo}`, '--mode=archive']);
      const tree = `--tree=tar=${join(scratch, 'paths.tar')}`;
      const options = [
        '--no-bindings',
        '--tar-autocreate-parents',
        `--selinux-policy=${join(scratch, 'policy')}`,
      ];
      await ostree(['commit', `--repo=${repo}`, '--branch=labels', tree, ...options]);
      const opened = openRepo(repo);
      const labels = new Map<string, Uint8Array>();
      for (const { path, xattrs } of openCommitTree(opened, opened.resolve('labels')).files) {
        const label = xattrs.get(SELINUX_XATTR);
        if (label !== undefined) {
          labels.set(path.slice(1), label);
        }
      }
      return labels;
    } catch (error) {
      if (!(error instanceof OstrataError) || error.code !== 'UNSUPPORTED') {
        throw error;
      }
      log.warn(`derived layers are not labelled for SELinux: ${error.message}`);
      return undefined;
    } finally {
      await rm(scratch, { recursive: true, force: true });
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
    if (info.type !== 'file') {
      continue;
    }
    if (info.size > MAX_POLICY_FILE) {
      throw new OstrataError(
        'LIMIT',
        `SELinux policy file ${name} of ${info.size} bytes, at most ${MAX_POLICY_FILE}`,
      );
    }
    const fd = openSync(join(directory, name), 'wx');
    const bytes = await collect(content.read(checksum, info), info.size);
    writeFully(fd, bytes);
    closeSync(fd);
  }
  for (const [name, dir] of tree.dirs) {
    await extract(dir, content, join(directory, name));
  }
}

function writePaths(path: string, entries: readonly LabelledEntry[]): void {
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(path, 'wx');
  try {
    for (const { name, type, mode } of entries) {
      const target = type === 'symlink' && { linkname: 'target' };
      writeFully(fd, encodeTarHeader({ name, type, mode, uid: 0, gid: 0, size: 0, ...target }));
    }
    writeFully(fd, END_OF_ARCHIVE);
  } finally {
    closeSync(fd);
  }
}

async function ostree(args: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram('ostree', args, { purpose: 'that' });
  if (code !== 0) {
    throw new OstrataError('IO', `ostree ${args[0]}: ${stderr.trim() || `exit code ${code}`}`);
  }
}
