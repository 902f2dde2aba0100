/**
 * ed25519 signatures (RFC 8032) of 64 bytes over the bytes of a commit object. Keys are 32 bytes in
 * base64. They come from the configuration of the remote, or else from the files `trusted.ed25519`
 * and the directories `trusted.ed25519.d` of the system, without those in `revoked.ed25519` and its
 * directory.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OstrataError } from '../../errors.js';
import type { Remote } from './remote.js';

const KEY_SIZE = 32;
const SIGNATURE_SIZE = 64;
/**
 * SubjectPublicKeyInfo (RFC 8410) of an ed25519 key, without the 32 bytes of the key at its end.
 */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const SYSTEM_DIRECTORIES = ['/etc/ostree', '/usr/share/ostree'];

/** Returns the trusted keys in base64. Throws `NOT_FOUND` if there is none. */
export function ed25519Keys(
  remote: Pick<Remote, 'ed25519Key' | 'ed25519File'>,
  directories: readonly string[] = SYSTEM_DIRECTORIES,
): readonly string[] {
  const keys = configuredKeys(remote) ?? systemKeys(directories);
  if (keys.length === 0) {
    throw new OstrataError('NOT_FOUND', 'no key is configured');
  }
  return keys;
}

/**
 * Returns a line that names the key of the first good signature. Throws `CORRUPT` if no signature
 * is good, or if one has a wrong size.
 */
export function verifyEd25519(
  keys: readonly string[],
  data: Uint8Array,
  signatures: readonly Uint8Array[],
): string {
  for (const signature of signatures) {
    if (signature.length !== SIGNATURE_SIZE) {
      throw new OstrataError(
        'CORRUPT',
        `ed25519 signature of ${signature.length} bytes instead of ${SIGNATURE_SIZE}`,
      );
    }
    const signer = keys.find((key) => verify(null, data, publicKey(key), signature));
    if (signer !== undefined) {
      return `ed25519: good signature by key ${signer}`;
    }
  }
  throw new OstrataError('CORRUPT', `no good ed25519 signature by any of ${keys.length} keys`);
}

function publicKey(key: string): KeyObject {
  const der = Buffer.concat([SPKI_PREFIX, Buffer.from(key, 'base64')]);
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}

/** Returns undefined if the remote configures no keys; those of the system are then used. */
function configuredKeys({
  ed25519Key,
  ed25519File,
}: Pick<Remote, 'ed25519Key' | 'ed25519File'>): readonly string[] | undefined {
  if (ed25519Key === undefined && ed25519File === undefined) {
    return undefined;
  }
  const fromFile = ed25519File === undefined ? [] : keysInFile(ed25519File);
  return ed25519Key === undefined ? fromFile : [...fromFile, canonicalKey(ed25519Key)];
}

function systemKeys(directories: readonly string[]): readonly string[] {
  const trusted = directories.flatMap((directory) => keysIn(directory, 'trusted.ed25519'));
  const revoked = directories.flatMap((directory) => keysIn(directory, 'revoked.ed25519'));
  return trusted.filter((key) => !revoked.includes(key));
}

/**
 * Returns the keys in the file `name` of a directory and in the files of its directory `name.d`.
 */
function keysIn(directory: string, name: string): string[] {
  const file = join(directory, name);
  const folder = `${file}.d`;
  const files = existsSync(file) ? [file] : [];
  for (const each of existsSync(folder) ? readdirSync(folder).sort() : []) {
    files.push(join(folder, each));
  }
  return files.flatMap(keysInFile);
}

/** Reads a file with one key per line. */
function keysInFile(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new OstrataError('NOT_FOUND', `no key file ${path}`);
  }
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line.trim() !== '').map(canonicalKey);
}

/** Returns a key in the one form that base64 has for it, so that keys can be compared as text. */
function canonicalKey(text: string): string {
  const bytes = Buffer.from(text.trim(), 'base64');
  if (bytes.length !== KEY_SIZE) {
    throw new OstrataError(
      'CORRUPT',
      `ed25519 key ${JSON.stringify(text)} is not ${KEY_SIZE} bytes in base64`,
    );
  }
  return bytes.toString('base64');
}
