/** `ostrata rpmdb` on a repository, a folder, an image and database files, compared with rpm. */
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { blobPath, readImage } from '../support/read-image.js';
import { repoRoot } from '../support/root.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const fixtures = join(repoRoot, 'rpmdb-fixtures');
const sample = [`--repo=${join(fixtures, 'sample/old')}`, 'sample/os'];
const sorted = (text: string) => text.split('\n').filter(Boolean).sort();
const QF =
  '%{NEVRA} %{SIZE} %{BUILDTIME:date}\\n[%{=NAME} %{FILENAMES} %{FILEMODES:perms} %{FILEDIGESTS}\\n]';

suite('ostrata rpmdb', needs('ostree', 'rpm'), () => {
  let scratch: string;
  let root: string;
  let rpm: (...args: string[]) => string;
  before(() => {
    scratch = scratchDirectory();
    root = join(scratch, 'root');
    run('ostree', [
      ...sample.slice(0, 1),
      'checkout',
      '--user-mode',
      '--disable-cache',
      'sample/os',
      root,
    ]);
    // rpm gets a copy, because it writes beside what it reads.
    cpSync(join(root, 'usr/share/rpm'), join(scratch, 'db'), { recursive: true });
    rpm = (...args) =>
      run('rpm', ['--dbpath', join(scratch, 'db'), ...args], { env: { LC_ALL: 'C' } });
  });

  test('a repository, a folder, an image and a database file give the same packages', () => {
    const image = `oci:${join(scratch, 'image')}:x`;
    ostrata(['container-encapsulate', ...sample, image, '--quiet', '--max-layers=8']);
    const expected = sorted(rpm('-qa', '--qf', QF));
    const sources = [
      sample,
      [`--root=${root}`],
      [`--image=${image}`],
      [`--dbpath=${join(scratch, 'db')}`],
    ];
    for (const source of [...sources, [`--root=${root}`, '--dbpath=/usr/share/rpm']]) {
      assert.deepEqual(
        sorted(ostrata(['rpmdb', 'list', ...source, '--qf', QF], { env: { LC_ALL: 'C' } })),
        expected,
        source.join(' '),
      );
    }
    assert.deepEqual(
      ostrata(['rpmdb', 'list', ...sample])
        .split('\n')
        .slice(0, -1),
      sorted(rpm('-qa', '--qf', '%{NEVRA}\\n')),
    );
    assert.match(
      ostrata(['rpmdb', 'owner', `--image=${image}`, '/etc/bash.bashrc']),
      /^bash-.*x86_64\n$/,
    );
  });

  test('only the layers of an image that hold the database are read', async () => {
    const directory = join(scratch, 'few');
    const image = `oci:${directory}:x`;
    ostrata(['container-encapsulate', ...sample, image, '--quiet', '--max-layers=16']);
    const read = readImage(directory, 'x');
    const holds = (name: string) =>
      read.manifest.layers.find((layer) =>
        layer.annotations?.['ostree.components']?.split(',').includes(name),
      ) ?? assert.fail(name);
    const kept = [read.manifest.layers[0]?.digest, holds('rpmdb').digest];
    for (const { digest } of read.manifest.layers) {
      if (!kept.includes(digest)) {
        rmSync(blobPath(directory, digest));
      }
    }
    assert.ok(read.manifest.layers.length > kept.length);
    assert.equal(
      ostrata(['rpmdb', 'list', `--image=${image}`]),
      ostrata(['rpmdb', 'list', ...sample]),
    );
    assert.match(
      ostrata(['rpmdb', 'info', `--image=${image}`, 'bash', '--dbpath=/usr/share/rpm']),
      /^Name {9}: bash$/m,
    );
    const { status, stderr } = tryOstrata(['rpmdb', 'owner', `--image=${image}`, '/bin/bash']);
    assert.equal(status, 1);
    assert.match(stderr, /^error: .*ENOENT/, 'owners need the whole tree');
  });

  test('list takes patterns; info and files take names', () => {
    const names = (...args: string[]) =>
      ostrata(['rpmdb', 'list', ...sample, '--qf', '%{NAME}\\n', ...args])
        .split('\n')
        .slice(0, -1);
    for (const pattern of ['bas*', '[a-c]*', '[!a-c]*', 'b[a]sh', '*[0-9]*']) {
      const expected = sorted(rpm('-qa', pattern.replace('!', '^'), '--qf', '%{NAME}\\n'));
      assert.deepEqual(names(pattern).sort(), expected, pattern);
    }
    const nevra = rpm('-q', 'bash', '--qf', '%{NEVRA}');
    const nvr = rpm('-q', 'bash', '--qf', '%{NVR}');
    for (const name of ['bash', 'bash.x86_64', nevra, nvr]) {
      assert.equal(ostrata(['rpmdb', 'info', ...sample, name, '--qf', '%{NEVRA}']), nevra);
    }
    assert.equal(ostrata(['rpmdb', 'files', ...sample, 'bash']), rpm('-ql', 'bash'));
    const info = ostrata(['rpmdb', 'info', ...sample, 'bash']);
    for (const line of [
      /^Name {9}: bash$/m,
      /^Source RPM {3}: bash-.*\.src\.rpm$/m,
      /^Changelog {4}: \d+ entries, the newest of \d{4}-/m,
    ]) {
      assert.match(info, line);
    }
    const { status, stderr } = tryOstrata(['rpmdb', 'info', ...sample, 'bash', 'nosuch']);
    assert.deepEqual(
      [status, /^error: package nosuch is not installed \(commit [0-9a-f]{64}\)\n$/.test(stderr)],
      [1, true],
      stderr,
    );
  });

  test('list sorts by installation and prints changelogs as rpm does', () => {
    const list = (...args: string[]) =>
      ostrata(['rpmdb', 'list', ...sample, ...args], { env: { LC_ALL: 'C' } });
    assert.equal(list('--last'), rpm('-qa', '--last'));
    assert.equal(list('bash', '--changelog'), rpm('-q', 'bash', '--changelog'));
    const [first] = JSON.parse(list('--last', '--json')) as { name: string }[];
    assert.ok(list('--last').startsWith(`${first?.name}-`));
  });

  test('packages are found by what they provide and require, as rpm finds them', () => {
    const relations = join(scratch, 'relations');
    cpSync(join(fixtures, 'bookworm-sqlite'), relations, { recursive: true });
    const dbpath = `--dbpath=${relations}`;
    const cases = [
      ['--whatprovides', 'virtual'],
      ['--whatprovides', '/usr/bin/relations'],
      ['--whatprovides', 'libmulti'],
      ['--whatrequires', 'versioned'],
      ['--whatrequires', '/bin/sh'],
      ['--whatrequires', 'rich'],
      ['--whatrequires', 'other'],
    ] as const;
    for (const [option, capability] of cases) {
      const expected = sorted(run('rpm', ['-q', dbpath, option, capability, '--qf=%{NEVRA}\\n']));
      const found = sorted(ostrata(['rpmdb', 'list', dbpath, option, capability]));
      // rpm prints a package once for each of its requirements.
      assert.deepEqual(found, [...new Set(expected)], capability);
    }
  });

  test('owner finds moved paths too; its exit code is 1 if nothing owns a path', () => {
    const paths = ostrata(['rpmdb', 'list', ...sample, '--qf', '[%{FILENAMES}\\n]']).split('\n');
    const vmlinuz = paths.find((path) => path.startsWith('/boot/vmlinuz-')) ?? assert.fail();
    const moved = vmlinuz.replace(/^\/boot\/vmlinuz-(.*)$/, '/usr/lib/modules/$1/vmlinuz');
    const asked = ['/bin/bash', '/usr/bin/bash', '/usr/etc/bash.bashrc', '/etc/bash.bashrc', moved];
    const bash = rpm('-q', 'bash', '--qf', '%{NEVRA}');
    const answers = ostrata(['rpmdb', 'owner', ...sample, ...asked])
      .split('\n')
      .slice(0, -1);
    assert.deepEqual(answers.slice(0, 4), [
      bash,
      bash,
      `${bash} (installed as /etc/bash.bashrc)`,
      bash,
    ]);
    assert.match(answers[4] ?? '', new RegExp(` \\(installed as ${vmlinuz}\\)$`));
    const { status, stdout, stderr } = tryOstrata([
      'rpmdb',
      'owner',
      ...sample,
      '/bin/bash',
      '/usr/lib/none',
    ]);
    assert.deepEqual([status, stderr, stdout.split('\n')[0]], [1, '', bash]);
    assert.match(stdout, /^\/usr\/lib\/none is not owned by any package of commit /m);
    assert.deepEqual(
      JSON.parse(ostrata(['rpmdb', 'owner', ...sample, '/usr/etc/bash.bashrc', '--json'])),
      [{ path: '/usr/etc/bash.bashrc', owners: [bash], installedAs: '/etc/bash.bashrc' }],
    );
  });

  test('--ndjson prints the elements of --json on lines', () => {
    for (const query of [['list'], ['files', 'bash'], ['owner', '/usr/bin/bash']]) {
      const [name = '', ...names] = query;
      const args = ['rpmdb', name, ...sample, ...names];
      const list = JSON.parse(ostrata([...args, '--json'])) as object[];
      const lines = ostrata([...args, '--ndjson'])
        .trim()
        .split('\n')
        .sort();
      assert.deepEqual(lines, list.map((each) => JSON.stringify(each)).sort());
    }
    const empty = tryOstrata(['rpmdb', 'list', ...sample, 'nothing', '--ndjson']);
    assert.deepEqual([empty.status, Object.keys(JSON.parse(empty.stdout))], [1, ['error']]);
  });

  test('a package that is missing is told in the document of the others', () => {
    const { status, stdout } = tryOstrata(['rpmdb', 'list', ...sample, 'bash', 'none', '--json']);
    const [bash, { error }] = JSON.parse(stdout);
    assert.deepEqual([status, bash.name, error.code], [1, 'bash', 'NOT_FOUND']);
  });

  test('--json and stats', () => {
    const list = JSON.parse(ostrata(['rpmdb', 'list', ...sample, '--json'])) as {
      nevra: string;
      size: number;
    }[];
    assert.deepEqual(
      list.map(({ nevra, size }) => `${nevra} ${size}`).sort(),
      sorted(rpm('-qa', '--qf', '%{NEVRA} %{SIZE}\\n')),
    );
    const stats = JSON.parse(ostrata(['rpmdb', 'stats', ...sample, '--json'])) as Record<
      string,
      unknown
    >;
    assert.deepEqual([stats.backend, stats.packages], ['sqlite', list.length]);
    assert.equal(stats.files, rpm('-qa', '--qf', '[%{FILENAMES}\\n]').split('\n').length - 1);
    assert.match(
      ostrata(['rpmdb', 'stats', ...sample]),
      /^packages {14}\d+ of \d+ source packages$/m,
    );
    const [bash] = JSON.parse(ostrata(['rpmdb', 'files', ...sample, 'bash', '--json'])) as [
      { files: { path: string; mode: number }[] },
    ];
    assert.equal(
      bash.files.find(({ path }) => path === '/usr/bin/bash' || path === '/bin/bash')?.mode,
      0o100755,
    );
  });
});

suite('ostrata rpmdb on databases alone', () => {
  test('several kernels, architectures and backends, and names that are not UTF-8', () => {
    for (const name of ['bookworm-sqlite-wal', 'trixie-ndb', 'bullseye-bdb-bigendian']) {
      const stats = JSON.parse(
        ostrata(['rpmdb', 'stats', `--dbpath=${join(fixtures, name)}`, '--json']),
      ) as Record<string, unknown>;
      assert.deepEqual(stats.severalVersions, ['kernel-core.noarch'], name);
      assert.deepEqual(stats.severalArchitectures, ['libmulti'], name);
    }
    const database = `--dbpath=${join(fixtures, 'trixie-ndb/Packages.db')}`;
    assert.ok(
      ostrata(['rpmdb', 'files', database, 'odd-latin1'])
        .split('\n')
        .includes('/usr/share/latin1/caf\xe9'),
    );
    const [{ files }] = JSON.parse(
      ostrata(['rpmdb', 'files', database, 'odd-latin1', '--json']),
    ) as [{ files: { path: unknown }[] }];
    const hex = Buffer.from('/usr/share/latin1/caf\xe9', 'latin1').toString('hex');
    assert.ok(files.some(({ path }) => JSON.stringify(path) === JSON.stringify({ hex })));
    assert.equal(ostrata(['rpmdb', 'list', database, 'kernel*']).split('\n').length, 3);
  });

  test('an error is a single line', () => {
    const refused = (status: number, message: RegExp, ...args: readonly string[]) => {
      const result = tryOstrata(['rpmdb', ...args]);
      assert.match(result.stderr, message);
      assert.deepEqual([result.status, result.stdout], [status, ''], args.join(' '));
    };
    const database = `--dbpath=${join(fixtures, 'bullseye-bdb')}`;
    refused(2, /give one of --root, --repo and --image/, 'list', '--root=/', '--image=oci:x');
    refused(2, /--repo: expected the ref as first argument/, 'list', '--repo=/x');
    refused(
      2,
      /query format: unknown tag NOPE \(at character 1\)/,
      'list',
      database,
      '--qf',
      '%{NOPE}',
    );
    refused(2, /expected names of packages/, 'info', database);
    refused(1, /^error: package nosuch is not installed \(.*\)\n$/, 'list', database, 'nosuch');
    refused(1, /^error: no installed package matches x\* \(/, 'list', database, 'x*');
    refused(1, /^error: no package provides x > 1 \(/, 'list', database, '--whatprovides=x > 1');
    refused(1, /^error: no package requires x \(/, 'files', database, '--whatrequires=x');
    refused(2, /pattern \[z-a\]: a range must ascend/, 'list', database, '[z-a]');
    const both = tryOstrata(['rpmdb', 'list', database, '--json', '--qf=x']);
    assert.equal(both.status, 2);
    assert.match(both.stderr, /'--qf.*' cannot be used with option '--json'/);
    refused(2, /'--changelog' cannot be used/, 'list', database, '--changelog', '--qf=x');
    refused(2, /expected paths/, 'owner', database);
    refused(2, /unexpected argument x/, 'stats', database, 'x');
    refused(1, /^error: .*no package database/, 'list', `--root=${join(repoRoot, 'src')}`);
    refused(
      1,
      /^error: reading rpmdb .*package.json: neither sqlite, ndb nor bdb: starts with [0-9a-f]{32}\n$/,
      'stats',
      `--dbpath=${join(repoRoot, 'package.json')}`,
    );
  });
});
