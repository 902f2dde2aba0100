/**
 * The public keys that verify commits, without those of GPG. They come from the configuration of
 * the remote, or else from the files `trusted.KIND` and the directories `trusted.KIND.d` of the
 * system, without those in `revoked.KIND` and its directory.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inContext, OstrataError } from '../../errors.js';
import type { RemoteKeys } from './remote.js';
import type { SignatureKind } from './signature-kind.js';

const SYSTEM_DIRECTORIES = ['/etc/ostree', '/usr/share/ostree'];

/** Returns the trusted keys in base64. Throws `NOT_FOUND` if there is none. */
export function trustedKeys(
  kind: SignatureKind,
  remote: RemoteKeys,
  directories: readonly string[] = SYSTEM_DIRECTORIES,
): readonly string[] {
  const keys = configuredKeys(kind, remote) ?? systemKeys(kind, directories);
  if (keys.length === 0) {
    throw new OstrataError('NOT_FOUND', 'no key is configured');
  }
  return keys;
}

/** Returns undefined if the remote configures no keys; those of the system are then used. */
function configuredKeys(
  kind: SignatureKind,
  { key, file }: RemoteKeys,
): readonly string[] | undefined {
  if (key === undefined && file === undefined) {
    return undefined;
  }
  const fromFile = file === undefined ? [] : keysInFile(kind, file);
  return key === undefined ? fromFile : [...fromFile, kind.canonicalKey(key)];
}

function systemKeys(kind: SignatureKind, directories: readonly string[]): readonly string[] {
  const keysCalled = (name: string) =>
    directories.flatMap((directory) => keysIn(kind, directory, `${name}.${kind.name}`));
  const revoked = keysCalled('revoked');
  return keysCalled('trusted').filter((key) => !revoked.includes(key));
}

/**
 * Returns the keys in the file `name` of a directory and in the files of its directory `name.d`.
 */
function keysIn(kind: SignatureKind, directory: string, name: string): string[] {
  const file = join(directory, name);
  const folder = `${file}.d`;
  const files = existsSync(file) ? [file] : [];
  for (const each of existsSync(folder) ? readdirSync(folder).sort() : []) {
    files.push(join(folder, each));
  }
  return files.flatMap((path) => keysInFile(kind, path));
}

function keysInFile(kind: SignatureKind, path: string): readonly string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new OstrataError('NOT_FOUND', `no key file ${path}`);
  }
  return inContext(path, () => kind.publicKeysIn(readFileSync(path, 'latin1')));
}
