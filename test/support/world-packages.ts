/**
 * The packages of the end-to-end tests' world (world.ts): contents full of odd files, built with
 * the real rpmbuild.
 */
import { createHash } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './run.js';

/** One rpm to build. */
export interface TestPackage {
  readonly name: string;
  readonly version: string;
  readonly arch?: 'x86_64' | 'i686' | 'noarch';
  /** Lines of %files in the spec; a directory stands for everything below it. */
  readonly files: readonly string[];
  /** Puts the files into `root`, the build root. */
  readonly install?: (root: string) => void;
  /** Seconds since 1970 of each changelog entry, newest first. */
  readonly changelog?: readonly number[];
}

/** Returns `size` bytes that do not compress and depend on `seed` only. */
export function noise(seed: string, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let block = 0; block * 32 < size; block++) {
    parts.push(createHash('sha256').update(`${seed} ${block}`).digest());
  }
  return Buffer.concat(parts).subarray(0, size);
}

/** Writes a file, making its parent directories. */
export function put(root: string, path: string, content: string | Uint8Array, mode = 0o644): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

const KIB = 1024;
const DAY = 86_400;
const NEWEST_BUILD = 1_700_000_000;
/** rpm appends 9 characters while it unpacks; file systems take 255. */
const LONG_NAME = 'n'.repeat(255 - 9);
/** More than the 255 bytes that a ustar header's prefix and name hold together. */
const DEEP_DIRECTORY = Array.from({ length: 6 }, (_, depth) => `${depth}-${'d'.repeat(100)}`).join(
  '/',
);

/** Copies `sh` and the libraries that it needs from this machine. */
function installShell(root: string): void {
  const copy = (from: string, to: string) => {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    run('cp', ['-L', '--preserve=mode', from, join(root, to)]);
  };
  copy('/bin/sh', 'usr/bin/sh');
  const libraries = run('ldd', ['/bin/sh']).matchAll(/(\/\S+) \(0x/g);
  for (const [, library] of libraries) {
    if (library) {
      copy(library, `usr/${library.replace(/^\/(usr\/)?/, '')}`);
    }
  }
}

function kernel(version: string): TestPackage {
  const modules = `usr/lib/modules/${version}.x86_64`;
  return {
    name: 'kernel-core',
    version,
    files: [`/${modules}/vmlinuz`, `/${modules}/drivers`],
    install(root) {
      put(root, `${modules}/vmlinuz`, noise(`vmlinuz ${version}`, 200 * KIB), 0o755);
      put(root, `${modules}/drivers/net.ko`, noise(`net ${version}`, 60 * KIB));
      put(root, `${modules}/drivers/same-in-all-kernels.ko`, noise('same.ko', 10 * KIB));
    },
  };
}

function library(arch: 'x86_64' | 'i686'): TestPackage {
  const directory = arch === 'i686' ? 'usr/lib' : 'usr/lib64';
  return {
    name: 'libpair',
    version: '3',
    arch,
    files: [`/${directory}/libpair.so.3`, '/usr/share/licenses/libpair'],
    install(root) {
      put(root, `${directory}/libpair.so.3`, noise(`libpair ${arch}`, 30 * KIB), 0o755);
      put(root, 'usr/share/licenses/libpair/COPYING', 'The same file in both packages.\n');
    },
  };
}

function twin(name: string): TestPackage {
  return {
    name,
    version: '1',
    arch: 'noarch',
    files: [`/usr/share/${name}`],
    install(root) {
      put(root, `usr/share/${name}/same.bin`, noise('twins', 20 * KIB));
      put(root, `usr/share/${name}/own.bin`, noise(name, 20 * KIB));
    },
  };
}

function hardLinks(version: string): TestPackage {
  return {
    name: 'hard-links',
    version,
    files: ['/usr/libexec/hard'],
    install(root) {
      const directory = join(root, 'usr/libexec/hard');
      put(root, 'usr/libexec/hard/first', noise(`hard ${version}`, 50 * KIB), 0o755);
      for (const name of ['second', 'third']) {
        linkSync(join(directory, 'first'), join(directory, name));
      }
    },
    changelog: version === '1' ? [NEWEST_BUILD] : [NEWEST_BUILD + 30 * DAY, NEWEST_BUILD],
  };
}

/** Defines the users that own files of other packages; it is installed first. */
export const setupPackage: TestPackage = {
  name: 'setup',
  version: '2',
  arch: 'noarch',
  files: [
    '%config(noreplace) /etc/passwd',
    '%config(noreplace) /etc/group',
    '/etc/motd',
    '%dir %attr(1777,root,root) /tmp',
  ],
  install(root) {
    put(
      root,
      'etc/passwd',
      'root:x:0:0:root:/root:/usr/bin/sh\noddball:x:1234:5678::/:/sbin/nologin\n',
    );
    put(root, 'etc/group', 'root:x:0:\noddball:x:5678:\n');
    put(root, 'etc/motd', 'An etc file without a config flag.\n');
    mkdirSync(join(root, 'tmp'), { recursive: true });
  },
};

export const oldPackages: readonly TestPackage[] = [
  { name: 'shell', version: '5', files: ['/usr'], install: installShell },
  {
    name: 'odd-modes',
    version: '1',
    files: [
      '%attr(0000,root,root) /usr/share/odd/mode0000',
      '%attr(4755,root,root) /usr/bin/setuid-tool',
      '%attr(2755,root,oddball) /usr/bin/setgid-tool',
      '%attr(0640,oddball,oddball) /usr/share/odd/secret',
      '%attr(0755,root,root) %caps(cap_net_raw,cap_sys_admin=ep) /usr/bin/capable',
      '%dir %attr(3770,oddball,oddball) /usr/share/odd/sticky',
      '%ghost /usr/share/odd/ghost-that-is-there',
      '%ghost /usr/share/odd/ghost-that-is-not',
      '%ghost /var/log/odd.log',
      '/usr/share/odd/links',
    ],
    install(root) {
      put(root, 'usr/share/odd/mode0000', noise('mode0000', 5000));
      put(root, 'usr/share/odd/secret', noise('secret', 5000));
      for (const name of ['setuid-tool', 'setgid-tool', 'capable']) {
        put(root, `usr/bin/${name}`, noise(name, 9 * KIB));
      }
      mkdirSync(join(root, 'usr/share/odd/sticky'), { recursive: true });
      const links = join(root, 'usr/share/odd/links');
      mkdirSync(links);
      symlinkSync('..//odd///mode0000', join(links, 'double-slash'));
      symlinkSync(`/nowhere/${'t'.repeat(250)}`, join(links, 'long-target'));
      symlinkSync('dangling target with spaces ', join(links, 'dangling'));
      symlinkSync('/usr/bin', join(links, 'absolute-directory'));
      symlinkSync('same target', join(links, 'same-1'));
      symlinkSync('same target', join(links, 'same-2'));
    },
  },
  {
    name: 'odd-names',
    version: '1',
    arch: 'noarch',
    files: ['/usr/share/odd-names'],
    install(root) {
      const names = [
        'with space',
        ' leading and trailing ',
        'single\'quote "double" `back`',
        'dollar $HOME % percent * star ? [x] {y}',
        'back\\slash \\012',
        'ünïcödé ✓ 𝄞',
        'u\u0308 decomposed',
        '-rf',
        '#file: x=y',
        '.hidden',
        LONG_NAME,
        `${DEEP_DIRECTORY}/file`,
        `${DEEP_DIRECTORY}/${LONG_NAME}`,
      ];
      for (const name of names) {
        put(root, `usr/share/odd-names/${name}`, `content of ${JSON.stringify(name)}\n`);
      }
    },
  },
  {
    name: 'empty-files',
    version: '1',
    arch: 'noarch',
    files: ['/usr/share/empty-files'],
    install(root) {
      for (const name of ['one', 'two', 'three']) {
        put(root, `usr/share/empty-files/${name}`, '');
      }
      put(root, 'usr/share/empty-files/executable', '', 0o755);
      mkdirSync(join(root, 'usr/share/empty-files/directory'));
    },
  },
  { name: 'no-files', version: '1', arch: 'noarch', files: [] },
  {
    name: 'through-links',
    version: '1',
    files: ['/bin/through-bin', '/lib/through/plugin.so', '%config(noreplace) /etc/through.conf'],
    install(root) {
      put(root, 'bin/through-bin', noise('through-bin', 15 * KIB), 0o755);
      put(root, 'lib/through/plugin.so', noise('plugin', 15 * KIB), 0o755);
      put(root, 'etc/through.conf', 'answer = 42\n');
    },
  },
  hardLinks('1'),
  twin('twin-a'),
  twin('twin-b'),
  library('x86_64'),
  library('i686'),
  kernel('5.1'),
  kernel('6.2'),
];

/** What the update installs: a newer `hard-links` and a new package. It also removes `no-files`. */
export const updatePackages: readonly TestPackage[] = [
  hardLinks('2'),
  {
    name: 'added',
    version: '1',
    arch: 'noarch',
    files: ['/usr/share/added'],
    install(root) {
      put(root, 'usr/share/added/data', noise('added', 40 * KIB));
    },
  },
];
export const removedPackages: readonly string[] = ['no-files'];

function specOf(
  { name, version, arch, files, changelog = [NEWEST_BUILD] }: TestPackage,
  root: string,
): string {
  const date = (seconds: number) =>
    new Date(seconds * 1000).toUTCString().replace(/^(\w+), (\d+) (\w+) (\d+).*/, '$1 $3 $2 $4');
  return [
    `Name: ${name}`,
    `Version: ${version}`,
    'Release: 1',
    `Summary: ${name} for tests`,
    'License: none',
    ...(arch === 'noarch' ? ['BuildArch: noarch'] : []),
    'AutoReqProv: no',
    '%description',
    name,
    '%install',
    `cp -a ${root}/. %{buildroot}/`,
    '%files',
    ...files,
    '%changelog',
    ...changelog.flatMap((time) => [
      `* ${date(time)} Nobody <nobody@example.invalid> - ${version}-1`,
      '- Change',
      '',
    ]),
    '',
  ].join('\n');
}

/** Builds an rpm below `work` with the real rpmbuild; returns its path. */
export function buildRpm(item: TestPackage, work: string): string {
  const { name, version, arch = 'x86_64', install } = item;
  const id = `${name}-${version}.${arch}`;
  const root = join(work, 'roots', id);
  mkdirSync(root, { recursive: true });
  install?.(root);
  const spec = join(work, `${id}.spec`);
  writeFileSync(spec, specOf(item, root));
  const defines = {
    _topdir: join(work, 'top'),
    _rpmdir: join(work, 'rpms'),
    _rpmfilename: '%%{NAME}-%%{VERSION}.%%{ARCH}.rpm',
    debug_package: '%{nil}',
    __os_install_post: '%{nil}',
    _build_id_links: 'none',
    _binary_payload: 'w1.gzdio',
    // The shell and the noise of other architectures are content here, not programs.
    _binaries_in_noarch_packages_terminate_build: '0',
  };
  const args = Object.entries(defines).flatMap(([key, value]) => ['--define', `${key} ${value}`]);
  // noarch is a BuildArch in the spec; --target takes only machines.
  if (arch !== 'noarch') {
    args.push(`--target=${arch}`);
  }
  run('rpmbuild', ['-bb', '--quiet', ...args, spec], {
    env: { SOURCE_DATE_EPOCH: String(NEWEST_BUILD) },
  });
  return join(work, 'rpms', `${id}.rpm`);
}
