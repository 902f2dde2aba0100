/**
 * Packages for Linux distributions (`npm run package:linux`): that of Debian is installed in a new
 * minimal Debian, that of rpm beside nothing but the libraries that it asks for.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { needsOneFile, oneFileFolder } from '../support/one-file.js';
import { repoRoot } from '../support/root.js';
import { ostrata, run, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const PACKAGER = join(repoRoot, '.ci/linux-packages');
const SAMPLE = join(repoRoot, 'rpmdb-fixtures/sample');

const execute = promisify(execFile);

/** Returns the only file in a folder whose name has this end. */
function fileIn(folder: string, end: string): string {
  const names = readdirSync(folder).filter((name) => name.endsWith(end));
  assert.equal(names.length, 1, `${folder} has ${names.length} files ${end}`);
  return join(folder, names[0] ?? '');
}

/** Names what the package of Debian depends on, without versions and alternatives. */
function debianDependencies(): string {
  const control = readFileSync(join(PACKAGER, 'control'), 'utf8');
  const [, list = ''] = /^Depends: (.*)$/m.exec(control) ?? [];
  const names = list.split(', ').map((each) => each.split(' ', 1)[0]);
  return names.join(',');
}

/** The versions of capabilities such as `libc.so.6(GLIBC_2.28)(64bit)`, by their first parts. */
type Versions = Readonly<Record<string, string>>;

/** Returns the newest version that a list of capabilities asks for: of GLIBC, 2.28. */
function newestVersions(capabilities: string): Versions {
  const newest: Record<string, string> = {};
  for (const [, name = '', version = ''] of capabilities.matchAll(/\(([A-Z]+)_([\d.]+)\)/g)) {
    const known = newest[name] ?? '0';
    const isNewer = known.localeCompare(version, 'en', { numeric: true }) < 0;
    newest[name] = isNewer ? version : known;
  }
  return newest;
}

/** Returns the programs and libraries that are inside the program for a processor. */
function nativeFiles(processor: string): readonly string[] {
  const packages = join(repoRoot, '.ci/package/node_modules');
  const prebuilds = join(repoRoot, 'node_modules/@cloudpss/zstd/prebuilds', `linux-${processor}`);
  const zstd = readdirSync(prebuilds).filter((name) => name.includes('glibc'));
  return [
    join(packages, `node-linux-${processor}/bin/node`),
    join(packages, `@koromix/koffi-linux-${processor}/linux_${processor}/koffi.node`),
    ...zstd.map((name) => join(prebuilds, name)),
  ];
}

/** Makes two images with the program of a system; returns the digests of both. */
function makeImages(call: (...args: readonly string[]) => string, source: string, layout: string) {
  const encapsulate = (name: string, ...options: readonly string[]) => {
    const arguments_ = [`--repo=${source}/${name}`, 'sample/os', `oci:${layout}:${name}`];
    call('container-encapsulate', '--compression=zstd', ...options, ...arguments_);
  };
  encapsulate('old');
  encapsulate('new', `--previous-build=oci:${layout}:old`);
}

function digestsFromSources(): string {
  const layout = join(scratchDirectory(), 'image');
  makeImages((...args) => ostrata(args), SAMPLE, layout);
  return readFileSync(join(layout, 'index.json'), 'utf8');
}

/** Does the same in a root directory in which the program is installed. */
function digestsIn(root: string): string {
  run('cp', ['-a', SAMPLE, join(root, 'sample')]);
  makeImages((...args) => run('chroot', [root, '/usr/bin/ostrata', ...args]), '/sample', '/image');
  return readFileSync(join(root, 'image/index.json'), 'utf8');
}

/**
 * Makes a package of the libraries that the program loads in `debian`; rpm finds out what they
 * provide.
 */
function packLibraries(debian: string, folder: string): string {
  const listed = run('chroot', [debian, 'ldd', '/usr/bin/ostrata']);
  const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  const copied = join(debian, 'libraries');
  mkdirSync(copied);
  run('chroot', [debian, 'cp', '--dereference', '--parents', ...libraries, '/libraries']);
  const spec = join(folder, 'libraries.spec');
  const lines = [
    '%global __os_install_post %{nil}',
    '%global debug_package %{nil}',
    'Name: libraries',
    'Version: 1',
    'Release: 1',
    'Summary: Libraries',
    'License: none',
    // As the package of glibc says itself.
    'Provides: rtld(GNU_HASH)',
    '%description',
    '%install',
    `cp -a ${copied}/. %{buildroot}`,
    '%files',
    ...libraries,
  ];
  writeFileSync(spec, `${lines.join('\n')}\n`);
  const macros = [`--define=_topdir ${folder}/top`, `--define=_rpmdir ${folder}/libraries`];
  run('rpmbuild', ['-bb', '--quiet', ...macros, '--define=_rpmfilename libraries.rpm', spec]);
  return join(folder, 'libraries/libraries.rpm');
}

suite('packages of any program', needs('dpkg', 'rpm'), () => {
  /** Programs whose content matters to no package. */
  const programs = scratchDirectory();
  const made = scratchDirectory();

  /** Makes all packages below a mask for the modes of new files. */
  const pack = (output: string, mask: string, env: Readonly<Record<string, string>>) => {
    const packager = [process.execPath, join(PACKAGER, 'index.mjs'), `--programs=${programs}`];
    const script = `umask ${mask}; exec "$@"`;
    run('sh', ['-c', script, 'sh', ...packager, `--output=${output}`], {
      env: { SOURCE_DATE_EPOCH: '1700000000', ...env },
    });
  };
  const capabilities = (architecture: string) =>
    run('rpm', ['-qp', '--requires', fileIn(made, `${architecture}.rpm`)]);

  before(() => {
    const { version } = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));
    for (const name of ['linux-x64', 'linux-arm64', 'licenses.txt']) {
      writeFileSync(join(programs, `ostrata-${version}-${name}`), name);
    }
    ostrata(['man', join(programs, 'man')]);
    pack(made, '022', {});
  });

  test('are the same files when another user makes them again', () => {
    const home = scratchDirectory();
    const again = scratchDirectory();
    writeFileSync(join(home, '.rpmmacros'), '%vendor Somebody\n%packager Somebody\n');
    pack(again, '077', { HOME: home, TZ: 'Asia/Tokyo', LC_ALL: 'C' });
    run('diff', ['-r', made, again]);
    assert.equal(readdirSync(again).length, 4);
  });

  test('ask for the versions of libraries that the programs need', () => {
    const elfdeps = join(run('rpm', ['--eval', '%_rpmconfigdir']).trim(), 'elfdeps');
    const files = ['x64', 'arm64'].flatMap(nativeFiles);
    const needed = newestVersions(run(elfdeps, ['--requires', ...files]));
    assert.deepEqual(newestVersions(capabilities('x86_64')), needed);
    assert.deepEqual(newestVersions(capabilities('aarch64')), needed);

    const depends = run('dpkg-deb', ['--field', fileIn(made, 'arm64.deb'), 'Depends']);
    assert.ok(depends.includes(`libc6 (>= ${needed.GLIBC})`), depends);
    assert.ok(depends.includes(`libgcc-s1 (>= ${needed.GCC})`), depends);
    // https://gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html: CXXABI 1.3.11 is of GCC 7.
    assert.equal(needed.CXXABI, '1.3.11');
    assert.ok(depends.includes('libstdc++6 (>= 7)'), depends);
  });
});

const { skip } = needs('root', 'dpkg', 'mmdebstrap', 'rpm');
suite('an installed package', { skip: skip || needsOneFile().skip }, () => {
  const scratch = scratchDirectory();
  const debian = join(scratch, 'debian');
  const beside = join(scratch, 'rpm');
  const made = join(scratch, 'made');
  let expected = '';

  const installRpms = (...files: readonly string[]) =>
    tryRun('rpm', ['--root', beside, '--install', ...files]);

  before(async () => {
    // Others must reach it: apt downloads as a user of its own.
    chmodSync(scratch, 0o755);
    mkdirSync(join(beside, 'tmp'), { recursive: true });
    const programs = await oneFileFolder();
    const packager = [join(PACKAGER, 'index.mjs'), `--programs=${programs}`, process.arch];
    const variant = ['--variant=essential', `--include=${debianDependencies()}`];
    await Promise.all([
      execute(process.execPath, [...packager, `--output=${made}`]),
      execute('mmdebstrap', ['--quiet', ...variant, 'bookworm', debian]),
    ]);
    run('dpkg', [`--root=${debian}`, '--install', fileIn(made, '.deb')]);
    expected = digestsFromSources();
  });

  test('of Debian has all its files, and none under the names of other tools', () => {
    assert.equal(run('dpkg', [`--root=${debian}`, '--verify', 'ostrata']), '');
    const list = run('dpkg', [`--root=${debian}`, '--listfiles', 'ostrata']).split('\n');
    assert.deepEqual(
      list.filter((path) => path.startsWith('/usr/bin/')),
      ['/usr/bin/ostrata'],
    );
  });

  test('of Debian makes the images that the sources make', () => {
    assert.equal(digestsIn(debian), expected);
  });

  test('of Debian has manual pages', needs('mandoc'), () => {
    const page = run('mandoc', [join(debian, 'usr/share/man/man1/ostrata-build.1.gz')]);
    assert.match(page, /^OSTRATA-BUILD\(1\)/);
  });

  test('of Debian completes command lines in bash', () => {
    const script = `
      source "$1/usr/share/bash-completion/completions/ostrata"
      COMP_WORDS=("$1/usr/bin/ostrata" inspect oci-) COMP_CWORD=2
      COMP_LINE="\${COMP_WORDS[*]}" COMP_POINT=\${#COMP_LINE}
      _ostrata
      echo "\${COMPREPLY[@]}"`;
    assert.equal(run('bash', ['-c', script, 'bash', debian]), 'oci-archive:\n');
  });

  test('of rpm is refused where a library is missing that it asks for', () => {
    const { status, stderr } = installRpms(fileIn(made, '.rpm'));
    assert.notEqual(status, 0);
    assert.match(stderr, /libstdc\+\+\.so\.6\(GLIBCXX_\S+ is needed by ostrata-/);
  });

  test('of rpm makes the same images beside nothing but the libraries that it asks for', () => {
    const libraries = packLibraries(debian, scratch);
    const { status, stderr } = installRpms(libraries, fileIn(made, '.rpm'));
    assert.equal(status, 0, stderr);
    assert.equal(run('rpm', ['--root', beside, '--verify', 'ostrata']), '');
    assert.equal(digestsIn(beside), expected);
  });

  test('of Debian leaves nothing behind when it is removed', () => {
    const list = run('dpkg', [`--root=${debian}`, '--listfiles', 'ostrata']).split('\n');
    const own = list.filter((path) => path.includes('ostrata'));
    assert.ok(own.length > 30);
    run('dpkg', [`--root=${debian}`, '--purge', 'ostrata']);
    assert.deepEqual(
      own.filter((path) => existsSync(join(debian, path))),
      [],
    );
  });
});
