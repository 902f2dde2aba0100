/** The policy of a tree: where it lies, when it is in force, and what is wrong with it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { loadSelinuxPolicy } from '../../src/selinux/policy.js';

const CONFIG = 'SELINUX=enforcing\nSELINUXTYPE=test\n';
const FILE = 0o100644;

/** Loads the policy of a tree that has these files. */
function load(files: Readonly<Record<string, string>>) {
  const contents = new Map(Object.entries(files));
  return loadSelinuxPolicy(async (path) => {
    const text = contents.get(path);
    return text === undefined ? undefined : Buffer.from(text);
  });
}

/** The files of a policy, by the end of their names. */
function policyIn(folder: string, parts: Readonly<Record<string, string>>) {
  const base = `${folder}/test/contexts/files/file_contexts`;
  const files = Object.entries(parts).map(([suffix, text]) => [`${base}${suffix}`, text]);
  return { [`${folder}/config`]: CONFIG, ...Object.fromEntries(files) };
}

for (const folder of ['/etc/selinux', '/usr/etc/selinux']) {
  test(`a policy is found in ${folder}`, async () => {
    const policy = await load(policyIn(folder, { '': '/.* label\n' }));
    assert.equal(policy?.name, 'test');
    assert.equal(policy.labelOf('/a', FILE), 'label');
  });
}

test('later files of the policy override earlier ones', async () => {
  const policy = await load(
    policyIn('/etc/selinux', {
      '': '/.* main\n/.*b main_b\n',
      '.homedirs': '/home/.* home\n/home/.*b home_b\n',
      '.local': '/.*c local\n/home/.*b local_b\n',
      '.subs': '/users /home\n',
      '.subs_dist': '/lib /users\n/home /other\n',
    }),
  );
  assert.equal(policy?.labelOf('/ab', FILE), 'main_b');
  assert.equal(policy?.labelOf('/ac', FILE), 'local');
  assert.equal(policy?.labelOf('/lib/a', FILE), 'main');
  assert.equal(policy?.labelOf('/users/a', FILE), 'main');
});

test('policies with the same files have the same id', async () => {
  const ids = await Promise.all(
    [
      { '': '/.* one\n' },
      { '': '/.* one\n', '.bin': 'compiled' },
      { '': '/.* one\n', '.local': '/a two\n' },
      { '': '/.* one\n', '.subs': '/a two\n' },
    ].map(async (parts) => (await load(policyIn('/etc/selinux', parts)))?.id),
  );
  assert.equal(ids[0], ids[1]);
  assert.equal(new Set(ids).size, 3);
});

test('the directory /proc gets the label of /mnt, as from ostree', async () => {
  const policy = await load(policyIn('/etc/selinux', { '': '/ root\n/mnt mnt\n/proc <<none>>\n' }));
  assert.equal(policy?.labelOf('/proc', 0o040755), 'mnt');
});

suite('the config says whether a policy is in force', () => {
  const contexts = { '/etc/selinux/t/contexts/files/file_contexts': '/.* label\n' };
  const loaded = (config: string) => load({ '/etc/selinux/config': config, ...contexts });
  const values: readonly (readonly [string, boolean])[] = [
    ['SELINUX=enforcing', true],
    ['SELINUX=Permissive # comment', true],
    ['SELINUX=disabled\nSELINUX=permissive', true],
    ['SELINUX=disabled', false],
    ['SELINUX= enforcing', false],
    ['#SELINUX=enforcing', false],
    ['', false],
  ];
  for (const [config, isActive] of values) {
    test(`${config.replace('\n', ', ') || 'an empty file'}: ${isActive ? 'yes' : 'no'}`, async () => {
      const policy = await loaded(`SELINUXTYPE=other\nSELINUXTYPE= t \r\n${config}\n`);
      assert.equal(policy?.name, isActive ? 't' : undefined);
    });
  }

  for (const type of ['', 'SELINUXTYPE=', 'SELINUXTYPE=../t', 'SELINUXTYPE=..']) {
    test(`without the name of a policy it is an error: ${type}`, async () => {
      await assert.rejects(loaded(`SELINUX=enforcing\n${type}\n`), {
        code: 'CORRUPT',
        message: '/etc/selinux/config: SELINUXTYPE= is followed by no name of a policy',
      });
    });
  }
});

test('a tree without a config has no policy', async () => {
  assert.equal(
    await load({ '/etc/selinux/test/contexts/files/file_contexts': '/.* a\n' }),
    undefined,
  );
});

suite('a policy that labels nothing is an error', () => {
  test('if file_contexts is missing', async () => {
    await assert.rejects(load(policyIn('/etc/selinux', { '.bin': 'compiled' })), {
      code: 'NOT_FOUND',
      message: /^SELinux policy test: .*file_contexts is missing$/,
    });
  });

  test('if the root directory gets no label', async () => {
    await assert.rejects(load(policyIn('/etc/selinux', { '': '/a label\n' })), {
      code: 'CORRUPT',
      message: /^SELinux policy test: .*file_contexts gives \/ no label$/,
    });
  });
});
