// The root file system of the image, as any user can make it: packages of Debian without running
// their scripts, the program, and the licenses and lists that describe both.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** More than any package has, unpacked. */
const MAX_PACKAGE_SIZE = 1 << 28;

/**
 * What nothing in the image uses: documentation other than licenses and changelogs, scripts of
 * debuggers, and most of the C library: conversions between encodings, and vector math.
 */
const LEFT_OUT = [
  /^\.\/usr\/share\/doc\/[^/]+\/(?!copyright$|changelog)./,
  /^\.\/usr\/share\/(base-files|gcc|gdb|info|lintian|man)\//,
  /^\.\/usr\/lib\/[^/]+\/(gconv\/|libmvec\.so)/,
];

const DATABASE = 'var/lib/dpkg';
/** In this format, files of packages that may be installed for several architectures name theirs. */
const INFO_FORMAT = '1\n';

const PASSWD = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`;
const GROUP = `root:x:0:
nogroup:x:65534:
`;
/** Without it, the C library asks DNS before it reads /etc/hosts. */
const NSSWITCH = 'hosts: files dns\n';

/**
 * Fills the empty folder `root`.
 * @param packages of Debian, each with the path of its file
 * @param product texts `licenses` and `sbom`, and the files `program` and `entrypoint`
 */
export function makeRoot(root, packages, product) {
  const paragraphs = packages.map((each) => unpack(root, each));
  write(root, `${DATABASE}/status`, paragraphs.join('\n'));
  write(root, `${DATABASE}/info/format`, INFO_FORMAT);

  mkdirSync(join(root, 'srv'));
  write(root, 'etc/passwd', PASSWD);
  write(root, 'etc/group', GROUP);
  write(root, 'etc/nsswitch.conf', NSSWITCH);

  write(root, 'usr/share/doc/ostrata/copyright', product.licenses);
  write(root, 'usr/share/doc/ostrata/sbom.spdx.json', product.sbom);
  write(root, 'usr/libexec/ostrata/entrypoint', readFileSync(product.entrypoint), 0o755);
  write(root, 'usr/bin/ostrata', readFileSync(product.program), 0o755);
  for (const name of ['chunkah', 'rpm-ostree']) {
    symlinkSync('ostrata', join(root, 'usr/bin', name));
  }
}

function write(root, path, content, mode = 0o644) {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content, { mode });
}

/** Unpacks a package and notes it as dpkg does; returns its paragraph of the status file. */
function unpack(root, { path }) {
  const scratch = mkdtempSync(`${root}-`);
  try {
    const names = unpackFiles(root, path, scratch);
    const control = join(scratch, 'control');
    execFileSync('dpkg-deb', ['--control', path, control]);
    const read = (name) => {
      const file = join(control, name);
      return existsSync(file) ? readFileSync(file, 'utf8') : '';
    };
    const fields = read('control').trimEnd();
    writeInfo(root, fields, names, read('md5sums'));
    const lines = fields.replace(/\n/, '\nStatus: install ok installed\n');
    return `${lines}\n${conffilesField(root, read('conffiles'))}`;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Returns the names in the archive of what is unpacked; those of directories end with a slash. */
function unpackFiles(root, path, scratch) {
  const archive = execFileSync('dpkg-deb', ['--fsys-tarfile', path], {
    maxBuffer: MAX_PACKAGE_SIZE,
  });
  const listed = execFileSync('tar', ['--list'], { input: archive, encoding: 'utf8' });
  const names = listed.trimEnd().split('\n');
  const kept = names.filter((name) => !LEFT_OUT.some((pattern) => pattern.test(name)));
  const list = join(scratch, 'names');
  writeFileSync(list, `${kept.join('\n')}\n`);
  const options = ['--no-recursion', '--preserve-permissions', '--keep-directory-symlink'];
  execFileSync('tar', ['--extract', `--directory=${root}`, ...options, `--files-from=${list}`], {
    input: archive,
  });
  return kept;
}

/** Writes which files a package has, and their checksums. */
function writeInfo(root, fields, names, md5sums) {
  const value = (field) => new RegExp(`^${field}: (.*)$`, 'm').exec(fields)?.[1];
  const isSame = value('Multi-Arch') === 'same';
  const name = isSame ? `${value('Package')}:${value('Architecture')}` : value('Package');

  const list = names.map((each) => `${each.replace(/^\./, '').replace(/\/$/, '') || '/.'}\n`);
  const there = new Set(names);
  const lines = md5sums.match(/.+\n/g) ?? [];
  const sums = lines.filter((line) => there.has(`./${line.slice(34, -1)}`));
  write(root, `${DATABASE}/info/${name}.list`, list.join(''));
  write(root, `${DATABASE}/info/${name}.md5sums`, sums.join(''));
}

/** Returns the field with the settings of a package, which are files that users may change. */
function conffilesField(root, conffiles) {
  const lines = conffiles
    .split('\n')
    .filter(Boolean)
    .map((path) => {
      const content = readFileSync(join(root, path));
      return ` ${path} ${createHash('md5').update(content).digest('hex')}\n`;
    });
  return lines.length === 0 ? '' : `Conffiles:\n${lines.join('')}`;
}
