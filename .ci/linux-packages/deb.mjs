// Packages of Debian, which `control` describes: https://www.debian.org/doc/debian-policy/
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

function build({ staged, scratch, architecture, version, time }) {
  const files = filesBelow(staged);
  const fields = {
    VERSION: version,
    ARCHITECTURE: architecture,
    INSTALLED_SIZE: installedSize(files),
  };
  const template = readFileSync(join(import.meta.dirname, 'control'), 'utf8');
  const control = template.replace(/@(\w+)@/g, (_, name) => fields[name]);
  const sums = files.map(({ path, md5 }) => `${md5}  ${path}\n`);

  const information = join(staged, 'DEBIAN');
  mkdirSync(information);
  writeFileSync(join(information, 'control'), control);
  writeFileSync(join(information, 'md5sums'), sums.join(''));

  const made = join(scratch, 'made.deb');
  const args = ['--root-owner-group', '-Zxz', '-z0', '--build', staged, made];
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(time) };
  execFileSync('dpkg-deb', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  return made;
}

/** Returns path, size in bytes and MD5 of each file, sorted. */
function filesBelow(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
  return paths.sort().map((path) => {
    const content = readFileSync(join(folder, path));
    const md5 = createHash('md5').update(content).digest('hex');
    return { path, size: content.length, md5 };
  });
}

/** Returns the sum of the sizes in KiB, each rounded up. */
function installedSize(files) {
  const sizes = files.map(({ size }) => Math.ceil(size / 1024));
  return sizes.reduce((sum, size) => sum + size, 0);
}

export const deb = {
  architectures: { x64: 'amd64', arm64: 'arm64' },
  places: {
    zsh: 'usr/share/zsh/vendor-completions/_ostrata',
    licenses: 'usr/share/doc/ostrata/copyright',
  },
  fileName: (version, architecture) => `ostrata_${version}_${architecture}.deb`,
  build,
};
