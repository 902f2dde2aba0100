/** Skips tests that need a program of `.ci/tools.json`, or root, where it is missing. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { repoRoot } from './root.js';

/** The name of a tool in `.ci/tools.json`, or `root` for a test that must run as root. */
export type Need =
  | 'root'
  | 'apt'
  | 'attr'
  | 'buildah'
  | 'cap'
  | 'chromium'
  | 'docker-registry'
  | 'dpkg'
  | 'fish'
  | 'git'
  | 'gpg'
  | 'htpasswd'
  | 'jq'
  | 'mandoc'
  | 'mmdebstrap'
  | 'openssl'
  | 'ostree'
  | 'podman'
  | 'python'
  | 'rpm'
  | 'selinux'
  | 'shellcheck'
  | 'skopeo'
  | 'strace'
  | 'tar'
  | 'umoci'
  | 'zstd'
  | 'zsh';

const tools = JSON.parse(readFileSync(join(repoRoot, '.ci/tools.json'), 'utf8')) as Record<
  string,
  { programs: string[]; debian: string }
>;

function isOnPath(program: string): boolean {
  const directories = (process.env.PATH ?? '').split(delimiter);
  return [...directories, '/usr/sbin', '/sbin'].some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The programs of a need that are not installed, with the package to install. */
function whatIsMissing(need: Need): string | undefined {
  if (need === 'root') {
    return process.getuid?.() === 0 ? undefined : 'root';
  }
  const tool = tools[need];
  if (!tool) {
    throw new Error(`.ci/tools.json has no ${need}`);
  }
  return tool.programs.every(isOnPath)
    ? undefined
    : `${tool.programs.join(', ')} (apt-get install ${tool.debian})`;
}

/**
 * Returns why the surroundings of the tests forbid what `need` is for, even if it is installed;
 * undefined if they do not. To unpack a layer, podman and buildah remount the root directory, which
 * fails in a chroot whose root is no mount point.
 */
function whatForbids(need: Need): string | undefined {
  if (need !== 'podman' && need !== 'buildah') {
    return undefined;
  }
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  const mountPoints = mounts.map((line) => line.split(' ')[4]);
  return mountPoints.includes('/')
    ? undefined
    : `a root directory that is a mount point, for ${need}`;
}

/**
 * Returns the options of a test or suite that runs other programs, so that it is skipped, with the
 * reason, where one of them is missing. Two variables of the environment change that: with
 * `OSTRATA_TEST_TOOLS=none` (`npm run test:unit`) every such test is skipped, and with `CI=true` a
 * missing program throws, because continuous integration must not skip tests unnoticed. What the
 * surroundings forbid is skipped in any case.
 */
export function needs(...list: readonly Need[]): { skip: false | string } {
  if (process.env.OSTRATA_TEST_TOOLS === 'none') {
    return { skip: `needs ${list.join(', ')}` };
  }

  const forbidden = list.map(whatForbids).filter((text) => text !== undefined);
  if (forbidden.length > 0) {
    return { skip: `needs ${forbidden.join(' and ')}` };
  }
  const missing = list.map(whatIsMissing).filter((text) => text !== undefined);
  if (missing.length === 0) {
    return { skip: false };
  }

  const reason = `needs ${missing.join(' and ')}`;
  if (process.env.CI === 'true') {
    throw new Error(`in CI no test is skipped: this one ${reason}`);
  }
  return { skip: reason };
}
