// The packages of Debian that are in the image. apt-get downloads them and checks the signatures of
// the archive; a list of their checksums, in the form of sha256sum, makes later runs use the same.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * What the program and a shell need when they run. What only the scripts need that dpkg runs to
 * install a package (awk, debianutils, dpkg) is left out.
 */
const NAMES = ['base-files', 'dash', 'gcc-14-base', 'libc6', 'libgcc-s1', 'libstdc++6'];

/** CHECKSUM NAME_VERSION_ARCHITECTURE.deb */
const LINE = /^([0-9a-f]{64}) {2}(([^_]+)_([^_]+)_([^_]+)\.deb)$/;
/** What `apt-get download --print-uris` prints: 'URI' FILE SIZE SHA256:CHECKSUM */
const URI_LINE = /^'.*' (\S+) \d+ SHA256:([0-9a-f]{64})$/;

/**
 * Returns the packages of a list for some architectures of Debian, after downloading those that
 * `folder` lacks.
 * @param isUpdate whether the newest packages are first written into the list
 */
export function getPackages({ list, sources, folder, architectures, isUpdate }) {
  const apt = new Apt(folder, sources, architectures);
  try {
    if (isUpdate) {
      updateList(list, architectures, apt);
    }
    const packages = readList(list).filter((each) => architectures.includes(each.architecture));
    download(packages, folder, list, apt);
    return packages.map((each) => {
      return { ...each, path: join(folder, each.file) };
    });
  } finally {
    apt.close();
  }
}

function download(packages, folder, list, apt) {
  const missing = packages.filter((each) => !isComplete(folder, each));
  if (missing.length === 0) {
    return;
  }
  const names = missing.map((each) => `${each.name}:${each.architecture}=${each.version}`);
  try {
    apt.run('download', ...names);
  } catch (error) {
    const next = '--update takes the newest, --sources another archive';
    throw new Error(`cannot download the packages of ${list}: ${next}`, { cause: error });
  }
  for (const each of missing) {
    renameSync(join(apt.folder, each.file), join(folder, each.file));
    if (!isComplete(folder, each)) {
      throw new Error(`${join(folder, each.file)} has another checksum than in ${list}`);
    }
  }
}

/** Lines for other architectures stay. */
function updateList(list, architectures, apt) {
  const names = architectures.flatMap((each) => NAMES.map((name) => `${name}:${each}`));
  const printed = apt.run('download', '--print-uris', ...names);
  const newest = printed
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, file, sha256] = URI_LINE.exec(line) ?? [];
      if (file === undefined) {
        throw new Error(`apt-get download --print-uris: expected a checksum: ${line}`);
      }
      return { file, sha256 };
    });
  const listed = existsSync(list) ? readList(list) : [];
  const kept = listed.filter((each) => !architectures.includes(each.architecture));
  const lines = [...newest, ...kept].map(({ file, sha256 }) => `${sha256}  ${file}\n`);
  writeFileSync(list, lines.sort(byFile).join(''));
}

function byFile(a, b) {
  return a.slice(64) < b.slice(64) ? -1 : 1;
}

function readList(list) {
  const lines = readFileSync(list, 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const [, sha256, file, name, version, architecture] = LINE.exec(line) ?? [];
    if (file === undefined) {
      throw new Error(`${list}: expected CHECKSUM  NAME_VERSION_ARCHITECTURE.deb: ${line}`);
    }
    // In the name of a file, "%3a" stands for the colon of a version.
    return { file, name, version: decodeURIComponent(version), architecture, sha256 };
  });
}

/** Whether `folder` has this very package. */
function isComplete(folder, { file, sha256 }) {
  const path = join(folder, file);
  if (!existsSync(path)) {
    return false;
  }
  return createHash('sha256').update(readFileSync(path)).digest('hex') === sha256;
}

/** apt-get with private settings: it needs no root, and does not see what is installed. */
class Apt {
  folder;
  #options;
  #isUpdated = false;

  constructor(parent, sources, architectures) {
    mkdirSync(parent, { recursive: true });
    this.folder = mkdtempSync(join(resolve(parent), 'apt-'));
    for (const name of ['var/lib/apt/lists/partial', 'var/cache/apt/archives/partial']) {
      mkdirSync(join(this.folder, name), { recursive: true });
    }
    const status = join(this.folder, 'status');
    writeFileSync(status, '');
    const settings = {
      Dir: this.folder,
      'Dir::State::status': status,
      'Dir::Etc::SourceList': resolve(sources),
      'Dir::Etc::SourceParts': '/dev/null',
      'Dir::Etc::PreferencesParts': '/dev/null',
      'APT::Architecture': architectures[0],
      'APT::Architectures': architectures.join(','),
      // As root, apt-get would download as a user who cannot write here.
      'APT::Sandbox::User': 'root',
      'APT::Update::Error-Mode': 'any',
      'Acquire::Languages': 'none',
    };
    this.#options = Object.entries(settings).map(([name, value]) => `--option=${name}=${value}`);
  }

  /** Runs a command with the newest lists of the archive in `folder`; returns what it prints. */
  run(...args) {
    if (!this.#isUpdated) {
      this.#isUpdated = true;
      this.run('update');
    }
    return execFileSync('apt-get', ['--quiet=2', ...this.#options, ...args], {
      cwd: this.folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  close() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
