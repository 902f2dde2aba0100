/**
 * Remotes: `[remote "NAME"]` in the repository's config or in a file of `/etc/ostree/remotes.d`, ostree.repo-config(5).
 * Here they only say which keys sign their commits.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inContext, OstrataError } from '../../errors.js';
import { parseKeyFile } from '../keyfile.js';
import type { OstreeRepo } from '../repo.js';

export const REMOTES_DIRECTORY = '/etc/ostree/remotes.d';

export interface Remote {
  readonly name: string;
  /** `gpg-verify`, true unless it is said to be false. */
  readonly gpgVerify: boolean;
  /** Key files, and directories of them. */
  readonly gpgKeyPaths: readonly string[];
  /** `sign-verify`: whether signatures other than GPG's are wanted; of the named kinds, or of those with keys. */
  readonly signVerify: boolean | readonly string[];
  /** `verification-ed25519-key`: base64. */
  readonly ed25519Key: string | undefined;
  /** `verification-ed25519-file`: path of a file with a key a line. */
  readonly ed25519File: string | undefined;
}

/** `NOT_FOUND` where no configuration names the remote. */
export function loadRemote(repo: OstreeRepo, name: string, directory = REMOTES_DIRECTORY): Remote {
  const files = [join(repo.path, 'config'), ...confFiles(directory)];
  for (const file of files) {
    const group = inContext(`reading ${file}`, () =>
      parseKeyFile(readFileSync(file, 'utf8')).get(`remote "${name}"`),
    );
    if (group !== undefined) {
      return inContext(`remote ${JSON.stringify(name)} in ${file}`, () => parseRemote(name, group));
    }
  }
  if (repo.parent !== undefined) {
    return loadRemote(repo.parent, name, directory);
  }
  throw new OstrataError(
    'NOT_FOUND',
    `no remote ${JSON.stringify(name)} in ${repo.path}/config or ${directory}`,
  );
}

function confFiles(directory: string): string[] {
  if (!existsSync(directory)) {
    return [];
  }
  const names = readdirSync(directory).filter((name) => name.endsWith('.conf'));
  return names.sort().map((name) => join(directory, name));
}

function parseRemote(name: string, group: ReadonlyMap<string, string>): Remote {
  const list = (key: string) =>
    (group.get(key) ?? '').split(/[;,]/).flatMap((each) => each.trim() || []);
  const signVerify = group.get('sign-verify') ?? '';
  return {
    name,
    gpgVerify: parseBoolean('gpg-verify', group.get('gpg-verify') ?? 'true'),
    gpgKeyPaths: list('gpgkeypath'),
    signVerify: signVerify === '' ? false : (booleanOf(signVerify) ?? list('sign-verify')),
    ed25519Key: group.get('verification-ed25519-key'),
    ed25519File: group.get('verification-ed25519-file'),
  };
}

function parseBoolean(key: string, text: string): boolean {
  const value = booleanOf(text);
  if (value === undefined) {
    throw new OstrataError('CORRUPT', `${key}=${text}, expected true or false`);
  }
  return value;
}

/** As GKeyFile reads it. */
function booleanOf(text: string): boolean | undefined {
  if (text === 'true' || text === '1') {
    return true;
  }
  return text === 'false' || text === '0' ? false : undefined;
}
