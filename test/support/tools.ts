import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { repoRoot } from './root.js';

/** A tool of `.ci/tools.json`, or being root. */
export type Need =
  | (
      | 'root'
      | 'attr'
      | 'buildah'
      | 'cap'
      | 'docker-registry'
      | 'gpg'
      | 'htpasswd'
      | 'openssl'
      | 'ostree'
    )
  | ('podman' | 'rpm' | 'skopeo' | 'strace' | 'tar' | 'umoci' | 'zstd');

const tools = JSON.parse(readFileSync(join(repoRoot, '.ci/tools.json'), 'utf8')) as Record<
  string,
  { programs: string[]; debian: string }
>;

function isOnPath(program: string): boolean {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function lacks(need: Need): string | undefined {
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
 * Options for a test or suite that uses real programs: it is skipped, with the reason, where one is missing.
 * In CI (`CI=true`) a missing one throws instead.
 */
export function needs(...list: readonly Need[]): { skip: false | string } {
  const missing = list.map(lacks).filter((text) => text !== undefined);
  if (missing.length === 0) {
    return { skip: false };
  }
  const reason = `needs ${missing.join(' and ')}`;
  if (process.env.CI === 'true') {
    throw new Error(`in CI no test is skipped: this ${reason}`);
  }
  return { skip: reason };
}
