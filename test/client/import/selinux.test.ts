/** Files of layers get the labels that `ostree commit --selinux-policy` gives them. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pullImage } from '../../../src/client/pull.js';
import { openRepo } from '../../../src/ostree/repo.js';
import { openCommitTree } from '../../../src/tree/commit.js';
import { type ForgedEntry, forgePlain, writeTar } from '../../support/forge-image.js';
import { importOptions, newRepo } from '../../support/import-image.js';
import { run } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

const directory = (name: string): ForgedEntry => ({ name, type: 'directory', mode: 0o755 });
const file = (name: string, content: Uint8Array = Buffer.from(name)): ForgedEntry => ({
  name,
  type: 'file',
  mode: 0o644,
  content,
});
const symlink = (name: string): ForgedEntry => ({
  name,
  type: 'symlink',
  mode: 0o777,
  linkname: 'target',
});

/** What a system may have, where policies have different labels for files of different types. */
const ENTRIES: readonly ForgedEntry[] = [
  ...['boot', 'dev', 'home', 'mnt', 'opt', 'proc', 'root', 'run', 'srv', 'sys', 'tmp'].map(
    directory,
  ),
  ...['usr', 'usr/bin', 'usr/lib', 'usr/lib64', 'usr/etc', 'usr/share', 'var', 'var/tmp'].map(
    directory,
  ),
  ...['usr/lib/.build-id', 'usr/lib/modules', 'usr/lib/systemd', 'var/lib', 'var/log'].map(
    directory,
  ),
  ...['boot/vmlinuz', 'home/user/.ssh/key', 'mnt/a', 'opt/bin/java', 'root/.bashrc'].map((name) =>
    file(name),
  ),
  ...['usr/bin/bash', 'usr/bin/su', 'usr/etc/passwd', 'usr/etc/shadow', 'usr/etc/fstab'].map(
    (name) => file(name),
  ),
  ...['usr/lib/libc.so.6', 'usr/lib64/libm.so.6', 'usr/lib/systemd/systemd'].map((name) =>
    file(name),
  ),
  ...['usr/lib/modules/6.1/vmlinuz', 'var/log/messages', 'var/lib/rpm/Packages'].map((name) =>
    file(name),
  ),
  ...['usr/bin/sh', 'usr/lib/libc.so', 'usr/etc/mtab', 'var/run', 'boot/link'].map(symlink),
];

/** The policy that is installed on this machine, as entries of a layer; a commit has no links. */
function policyEntries(): ForgedEntry[] {
  const folder = '/etc/selinux';
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true });
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => file(`usr${path}`, readFileSync(path)));
}

/** The labels in a commit, by path. */
function labelsOf(path: string, ref: string): Map<string, string | undefined> {
  const repo = openRepo(path);
  const { files } = openCommitTree(repo, repo.resolve(ref));
  return new Map(
    Array.from(files, (entry) => {
      const label = entry.xattrs.get('security.selinux');
      return [entry.path, label && Buffer.from(label).toString()];
    }),
  );
}

/** The labels that ostree gives, by the policy of this machine. */
function labelsByOstree(entries: readonly ForgedEntry[]): Map<string, string | undefined> {
  const scratch = scratchDirectory();
  cpSync('/etc/selinux', join(scratch, 'etc/selinux'), { recursive: true });
  const tar = join(scratch, 'entries.tar');
  writeFileSync(tar, writeTar(entries));

  const repo = newRepo();
  const source = [`--tree=tar=${tar}`, '--tar-autocreate-parents'];
  const policy = `--selinux-policy=${scratch}`;
  run('ostree', ['commit', `--repo=${repo}`, '--branch=labels', ...source, policy]);
  return labelsOf(repo, 'labels');
}

test(
  'files of layers are labeled as ostree labels them',
  // Without the package of a policy, programs for SELinux can be there all the same.
  existsSync('/etc/selinux/config') ? needs('ostree', 'selinux') : { skip: 'needs a policy' },
  async () => {
    const entries = [...ENTRIES, ...policyEntries()];
    const { imgref } = forgePlain([entries]);
    const repo = newRepo();
    const { mergeCommit } = await pullImage(importOptions(repo, imgref));

    const labels = labelsOf(repo, mergeCommit);
    assert.ok(labels.size > entries.length);
    assert.deepEqual(labels, labelsByOstree(entries));
  },
);
