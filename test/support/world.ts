/**
 * The input of the end-to-end tests: two builds of a small system full of odd files, made with the
 * real rpm and ostree. It is made once on a machine for each state of these sources, below the
 * temporary directory, and shared by all test processes. No test may change it: copy what a test
 * wants to damage.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { locked } from './locked.js';
import { run } from './run.js';
import { scratchDirectory } from './scratch.js';
import {
  buildRpm,
  noise,
  oldPackages,
  put,
  removedPackages,
  setupPackage,
  type TestPackage,
  updatePackages,
} from './world-packages.js';

export interface World {
  /** A repository of mode bare, with the signed commits `os/old` and `os/new`. */
  readonly repo: string;
  readonly oldCommit: string;
  readonly newCommit: string;
  /** The trees as committed. */
  readonly oldTree: string;
  readonly newTree: string;
  /** The GnuPG home that holds the key of the commits' signatures. */
  readonly gnupg: string;
}

/** The kernel that the commits name in `ostree.linux`. */
export const KERNEL = '6.2.x86_64';
export const BIG_UID = 4294967294;
const COMMIT_TIME = 1_700_100_000;
const KIB = 1024;
const MIB = 1024 * KIB;

export const DB_PATH = '/usr/share/rpm';
const rpmOptions = [
  '--dbpath',
  DB_PATH,
  '--nodeps',
  '--noscripts',
  '--ignorearch',
  '--ignoreos',
  '--nosignature',
];

function installRpms(root: string, rpms: readonly string[], mode: '-i' | '-U'): void {
  run('rpm', ['--define', '_db_backend sqlite', '--root', root, ...rpmOptions, mode, ...rpms]);
}

function makeRoot(root: string, work: string): void {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
  mkdirSync(join(root, DB_PATH), { recursive: true });
  const build = (item: TestPackage) => buildRpm(item, work);
  installRpms(root, [build(setupPackage)], '-i');
  installRpms(root, oldPackages.map(build), '-i');
}

function updateRoot(root: string, work: string): void {
  installRpms(
    root,
    updatePackages.map((item) => buildRpm(item, work)),
    '-U',
  );
  run('rpm', ['--root', root, '--dbpath', DB_PATH, '--noscripts', '-e', ...removedPackages]);
}

const setXattr = (root: string, path: string, name: string, value: string) =>
  run('setfattr', ['-h', '-n', name, '-v', value, join(root, path)]);

/** Adds files that no package owns. */
function addUnowned(root: string): void {
  for (const version of ['5.1', '6.2']) {
    put(
      root,
      `usr/lib/modules/${version}.x86_64/initramfs.img`,
      noise(`initramfs ${version}`, 300 * KIB),
      0o600,
    );
  }
  put(root, 'usr/share/big.bin', noise('big', 1.5 * MIB));
  put(root, 'usr/share/unowned/a/file', 'first\n');
  put(root, 'usr/share/unowned/b/file', 'second\n');
  put(root, 'usr/share/odd/ghost-that-is-there', 'made after the installation\n');
  // rpmbuild refuses control characters in names; ostree does not.
  for (const name of ['line\nfeed', 'tab\tand\x07bell', '\n', 'ends with \r', 'n'.repeat(255)]) {
    put(root, `usr/share/odd-names-unowned/${name}`, `content of ${JSON.stringify(name)}\n`);
  }
  put(root, 'usr/lib/systemd/unowned.service', '[Unit]\n');
  put(root, 'usr/share/odd-owner/big-uid', noise('big uid', 3000), 0o600);
  run('chown', ['-R', `${BIG_UID}:${BIG_UID - 1}`, join(root, 'usr/share/odd-owner')]);

  put(root, 'usr/share/odd-xattrs/binary', noise('binary', 3000));
  put(root, 'usr/share/odd-xattrs/empty-file', '');
  symlinkSync('binary', join(root, 'usr/share/odd-xattrs/symlink'));
  for (const path of ['binary', 'empty-file', '']) {
    setXattr(root, `usr/share/odd-xattrs/${path}`, 'user.bytes', '0x00ff0a3d00c3280a');
    setXattr(root, `usr/share/odd-xattrs/${path}`, 'user.a=b', '0x31');
  }
  setXattr(root, 'usr/share/odd-xattrs/symlink', 'trusted.on-a-symlink', '0x0102');

  put(root, 'usr/share/app/data', noise('app', 70 * KIB));
  put(root, 'usr/share/app/plugins/other', noise('other app', 30 * KIB));
  setXattr(root, 'usr/share/app', 'user.component', 'app');
  setXattr(root, 'usr/share/app', 'user.update-interval', 'weekly');
  setXattr(root, 'usr/share/app/plugins', 'user.component', 'other-app');
}

/** Gives the tree the shape of an ostree commit, and SELinux labels. */
function shape(root: string): void {
  for (const name of ['.rpm.lock', 'rpmdb.sqlite-shm', 'rpmdb.sqlite-wal']) {
    rmSync(join(root, DB_PATH, name), { force: true });
  }
  mkdirSync(join(root, 'usr/lib/sysimage'), { recursive: true });
  symlinkSync('../../share/rpm', join(root, 'usr/lib/sysimage/rpm'));
  run('mv', [join(root, 'etc'), join(root, 'usr/etc')]);
  rmSync(join(root, 'var'), { recursive: true, force: true });
  for (const name of ['boot', 'dev', 'proc', 'run', 'sys', 'sysroot', 'var']) {
    mkdirSync(join(root, name));
  }
  symlinkSync('sysroot/ostree', join(root, 'ostree'));
  symlinkSync('var/home', join(root, 'home'));

  const label = (path: string, type: string) =>
    run('find', [
      join(root, path),
      '-exec',
      'setfattr',
      '-h',
      '-n',
      'security.selinux',
      '-v',
      `system_u:object_r:${type}:s0`,
      '{}',
      '+',
    ]);
  label('.', 'root_t');
  label('usr', 'usr_t');
  label('usr/bin', 'bin_t');
  label('usr/etc', 'etc_t');
}

function makeKey(gnupg: string): string {
  mkdirSync(gnupg, { mode: 0o700 });
  const gpg = ['--homedir', gnupg, '--batch', '--quiet'];
  run('gpg', [
    ...gpg,
    '--passphrase',
    '',
    '--quick-generate-key',
    'Tester <tester@example.invalid>',
    'rsa2048',
    'sign',
    'never',
  ]);
  const listing = run('gpg', [...gpg, '--with-colons', '--list-keys']);
  const fingerprint = /^fpr:+([0-9A-F]+):/m.exec(listing)?.[1];
  if (!fingerprint) {
    throw new Error(`gpg lists no key: ${listing}`);
  }
  return fingerprint;
}

/** Commits `tree` with the real ostree; returns the commit's checksum. */
export function commitTree(
  repo: string,
  ref: string,
  tree: string,
  ...options: readonly string[]
): string {
  return run('ostree', [
    `--repo=${repo}`,
    'commit',
    `--branch=${ref}`,
    `--tree=dir=${tree}`,
    `--subject=Build ${ref}`,
    `--timestamp=@${COMMIT_TIME}`,
    ...options,
  ]).trim();
}

/**
 * Returns what rpm lists of the database in `tree`: lines of `format`, sorted.
 * It reads a copy, because rpm writes into a database even when it only reads.
 */
export function listPackages(tree: string, format: string): string[] {
  const copy = join(scratchDirectory(), 'db');
  run('cp', ['-a', join(tree, DB_PATH), copy]);
  return run('rpm', ['--dbpath', copy, '-qa', '--qf', `${format}\n`])
    .trim()
    .split('\n')
    .sort();
}

/** Makes an empty repository with the real ostree; returns its path. */
export function initRepo(repo: string, mode: string): string {
  mkdirSync(repo, { recursive: true });
  run('ostree', [`--repo=${repo}`, 'init', `--mode=${mode}`]);
  return repo;
}

function makeWorld(directory: string): void {
  const work = join(directory, 'work');
  mkdirSync(work, { recursive: true });
  const key = makeKey(join(directory, 'gnupg'));
  const repo = initRepo(join(directory, 'repo'), 'bare');
  const root = join(work, 'root');
  makeRoot(root, work);
  const commits: Record<string, string> = {};
  for (const [kind, version] of [
    ['old', '39.1'],
    ['new', '39.2'],
  ] as const) {
    if (kind === 'new') {
      updateRoot(root, work);
    }
    const tree = join(directory, kind);
    run('cp', ['-a', root, tree]);
    addUnowned(tree);
    shape(tree);
    commits[kind] = commitTree(
      repo,
      `os/${kind}`,
      tree,
      `--gpg-sign=${key}`,
      `--gpg-homedir=${join(directory, 'gnupg')}`,
      `--add-metadata-string=version=${version}`,
      '--add-metadata=ostree.bootable=true',
      `--add-metadata-string=ostree.linux=${KERNEL}`,
      `--add-metadata-string=rpmostree.inputhash=hash-of-${kind}`,
      ...(commits.old ? [`--parent=${commits.old}`] : []),
    );
  }
  run('gpgconf', ['--homedir', join(directory, 'gnupg'), '--kill', 'all']);
  rmSync(work, { recursive: true });
  writeFileSync(join(directory, 'commits.json'), JSON.stringify(commits));
}

/** Changes with the sources of the world and with the programs that make it. */
function worldId(): string {
  const hash = createHash('sha256');
  for (const module of ['world.js', 'world-packages.js']) {
    hash.update(readFileSync(join(import.meta.dirname, module)));
  }
  for (const program of ['rpm', 'ostree']) {
    hash.update(run(program, ['--version']));
  }
  return hash.digest('hex').slice(0, 16);
}

/**
 * Returns the world; the first call on a machine makes it. Tests that call it need {@link
 * worldNeeds}.
 */
export async function world(): Promise<World> {
  const directory = join(tmpdir(), `ostrata-e2e-${worldId()}`);
  const commitsFile = join(directory, 'commits.json');
  mkdirSync(dirname(directory), { recursive: true });
  await locked(`${directory}.lock`, () => {
    if (existsSync(commitsFile)) {
      return;
    }
    rmSync(directory, { recursive: true, force: true });
    makeWorld(directory);
  });
  const commits = JSON.parse(readFileSync(commitsFile, 'utf8')) as { old: string; new: string };
  return {
    repo: join(directory, 'repo'),
    oldCommit: commits.old,
    newCommit: commits.new,
    oldTree: join(directory, 'old'),
    newTree: join(directory, 'new'),
    gnupg: join(directory, 'gnupg'),
  };
}

/** The tools that {@link world} needs. */
export const worldNeeds = ['root', 'attr', 'cap', 'gpg', 'ostree', 'rpm'] as const;
