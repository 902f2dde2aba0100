/**
 * A commit with everything that a tar writer can write in more than one way: long names, owners and
 * targets, xattrs, hard links, denormal symlinks.
 */
import { compareUtf8 } from '../../src/bytes/text.js';
import { encodeDirmeta } from '../../src/ostree/objects/dirmeta.js';
import type { FileSpec, RepoBuilder, TreeSpec } from './build-repo.js';

/** A directory whose names may be given in any order. */
function dir(entries: Readonly<Record<string, string | FileSpec | TreeSpec>>): TreeSpec {
  return new Map(Object.entries(entries).sort(([a], [b]) => compareUtf8(a, b)));
}

const xattrs = (some: Readonly<Record<string, string>>) =>
  new Map(Object.entries(some).map(([name, value]) => [name, Buffer.from(value)]));
const label = xattrs({ 'security.selinux': 'system_u:object_r:root_t:s0\0' });

/** Writes the commit into `repo`. Returns its checksum, which is always the same. */
export function writeOddCommit(repo: RepoBuilder): string {
  const top = Object.entries({ boot: dir({}), sysroot: dir({}), tmp: dir({}), usr, var: dir({}) });
  const dirs = top.map(([name, spec]) => ({
    name,
    dirtree: repo.tree(spec),
    dirmeta: repo.dirmeta(name === 'tmp' ? 0o41777 : 0o40755, label),
  }));
  // A directory with another owner and an xattr that tools can see.
  const owner = { uid: 2 ** 21, gid: 2 ** 32 - 1 };
  const home = encodeDirmeta({ ...owner, mode: 0o42750, xattrs: xattrs({ 'user.quota': '1' }) });
  dirs.splice(1, 0, {
    name: 'home',
    dirtree: repo.tree(dir({})),
    dirmeta: repo.object('dirmeta', home),
  });

  const links = ['bin', 'lib'].map((name) => ({
    name,
    checksum: repo.file({ target: `usr/${name}` }),
  }));
  const commit = repo.commit(repo.dirtree({ files: links, dirs }), {
    dirmeta: repo.dirmeta(0o40555, label),
  });
  repo.commitMeta(commit, new Map());
  return commit;
}

/** Targets around the length that fits into a header, with and without a slash at its end. */
const targets: Record<string, FileSpec> = {};
for (const length of [99, 100, 101, 102, 180]) {
  for (const part of [9, 50, 99, 100]) {
    const target = `${'t'.repeat(part)}/`.repeat(20).slice(0, length - 1);
    targets[`${length}-${part}`.padStart(7, '0')] = { target: `${target}e` };
  }
}

/** Directories and files whose paths are around the length that fits into a header. */
function longNames(): TreeSpec {
  const above = '/usr/long/'.length - 1;
  const names = Array.from({ length: 12 }, (_, i) => 'n'.repeat(86 + i));
  const plain = names.map(
    (name) => [name, dir({ [`f${name.length}`]: `${name.length}` })] as const,
  );
  return dir({
    // The last character of the path that fits is cut within a character or before `.`.
    ...Object.fromEntries(plain),
    [`o${'é'.repeat(50)}`]: dir({ ü: 'two bytes' }),
    [`p${'d'.repeat(100 - above - 3)}`]: dir({ '.hidden': 'cut after a dot', '..b': 'after two' }),
    [`q${'d'.repeat(100 - above - 2)}`]: dir({ '.hidden': dir({ a: 'cut before a dot' }) }),
    r: dir({ [`${'s'.repeat(120)}`]: dir({ ['u'.repeat(120)]: 'no slash in the first 100' }) }),
  });
}

const usr: TreeSpec = dir({
  bin: dir({
    bash: { content: 'shell', mode: 0o4755 },
    empty: { content: '', xattrs: xattrs({ 'user.a': 'of an empty file' }) },
    sh: { content: 'shell', mode: 0o4755 },
  }),
  etc: dir({
    empty: '',
    group: 'root:x:0:',
    other: '',
    'x.d': dir({ link: { target: '..//group' } }),
  }),
  'b-first': 'in four places',
  lib: dir({
    a: dir({ x: 'in four places', z: '' }),
    'a-b': dir({ x: 'in four places' }),
    big: { content: Buffer.alloc(1537, 'big'), mode: 0, owner: [2 ** 21 - 1, 2 ** 21] },
    caps: {
      content: 'ping',
      mode: 0o755,
      owner: [4294967294, 1000],
      xattrs: xattrs({
        'security.capability': `\x01\0\0\x02\0\x20${'\0'.repeat(14)}`,
        'security.selinux': 'ping_exec_t\0',
        'user.empty': '',
        'user.long': 'x'.repeat(1000),
      }),
    },
    linked: { target: 'a/x', xattrs: xattrs({ 'trusted.a': 'of a symlink' }) },
    x: 'in four places',
  }),
  links: dir(targets),
  long: longNames(),
  share: dir({ root: { target: './doc' } }),
});
