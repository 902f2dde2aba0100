/**
 * Remotes: `[remote "NAME"]` in the config of a repository or in a file of `/etc/ostree/remotes.d`,
 * ostree.repo-config(5). Only the settings that say which keys sign commits are read.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { didYouMean } from '../../bytes/nearest.js';
import { inContext, OstrataError } from '../../errors.js';
import { parseKeyFile } from '../keyfile.js';
import type { OstreeRepo } from '../repo.js';
import type { SignatureKind } from './signature-kind.js';

/** Configuration of remotes for all repositories of a system. */
export const REMOTES_DIRECTORY = '/etc/ostree/remotes.d';

export interface Remote {
  readonly name: string;
  /** `gpg-verify`; true by default. */
  readonly gpgVerify: boolean;
  /** `gpgkeypath`: key files, and directories of key files. */
  readonly gpgKeyPaths: readonly string[];
  /**
   * `sign-verify`: whether signatures other than GPG are required, of any kind or of the named
   * kinds.
   */
  readonly signVerify: boolean | readonly string[];
  /** The public keys of signatures of this kind. */
  keysFor(kind: SignatureKind): RemoteKeys;
}

/** Where a remote has public keys of one kind. */
export interface RemoteKeys {
  /** `verification-KIND-key`: a key in base64. */
  readonly key: string | undefined;
  /** `verification-KIND-file`: path of a file of keys. */
  readonly file: string | undefined;
}

/**
 * Loads the configuration of a remote from the repository, its parents or `directory`. Throws
 * `NOT_FOUND` if nothing configures it.
 */
export function loadRemote(repo: OstreeRepo, name: string, directory = REMOTES_DIRECTORY): Remote {
  const names: string[] = [];
  for (const { name: found, file, group } of remoteGroups(repo, directory)) {
    if (found === name) {
      return inContext(`remote ${JSON.stringify(name)} in ${file}`, () => parseRemote(name, group));
    }
    names.push(found);
  }
  throw new OstrataError(
    'NOT_FOUND',
    `no remote ${JSON.stringify(name)} in ${repo.path}/config or ${directory}` +
      didYouMean(name, names),
  );
}

interface RemoteGroup {
  readonly name: string;
  readonly file: string;
  readonly group: ReadonlyMap<string, string>;
}

/** Yields the groups of all remotes, those that take precedence first. */
function* remoteGroups(repo: OstreeRepo, directory: string): Generator<RemoteGroup> {
  for (const file of [join(repo.path, 'config'), ...confFiles(directory)]) {
    const groups = inContext(`reading ${file}`, () => parseKeyFile(readFileSync(file, 'utf8')));
    for (const [title, group] of groups) {
      const name = /^remote "(.*)"$/.exec(title)?.[1];
      if (name !== undefined) {
        yield { name, file, group };
      }
    }
  }
  if (repo.parent !== undefined) {
    yield* remoteGroups(repo.parent, directory);
  }
}

function confFiles(directory: string): string[] {
  if (!existsSync(directory)) {
    return [];
  }
  const names = readdirSync(directory).filter((name) => name.endsWith('.conf'));
  return names.sort().map((name) => join(directory, name));
}

function parseRemote(name: string, group: ReadonlyMap<string, string>): Remote {
  const signVerify = group.get('sign-verify') ?? 'false';
  return {
    name,
    gpgVerify: parseBoolean('gpg-verify', group.get('gpg-verify') ?? 'true'),
    gpgKeyPaths: parseList(group.get('gpgkeypath') ?? ''),
    signVerify: booleanOf(signVerify) ?? parseList(signVerify),
    keysFor: ({ name: kind }) => ({
      key: group.get(`verification-${kind}-key`),
      file: group.get(`verification-${kind}-file`),
    }),
  };
}

function parseList(text: string): string[] {
  const items = text.split(/[;,]/).map((item) => item.trim());
  return items.filter((item) => item !== '');
}

function parseBoolean(key: string, text: string): boolean {
  const value = booleanOf(text);
  if (value === undefined) {
    throw new OstrataError('CORRUPT', `${key}=${text}, expected true or false`);
  }
  return value;
}

/** Parses a boolean as GKeyFile does. Returns undefined for other texts. */
function booleanOf(text: string): boolean | undefined {
  if (text === 'true' || text === '1') {
    return true;
  }
  return text === 'false' || text === '0' ? false : undefined;
}
