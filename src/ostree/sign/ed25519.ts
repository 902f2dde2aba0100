/**
 * ed25519 signatures (RFC 8032) of 64 bytes over the bytes of the commit object. Keys are 32 bytes in base64, from the
 * remote's configuration or else from `trusted.ed25519` and `trusted.ed25519.d` of the system; `revoked.ed25519` likewise.
 */
import { createPublicKey, verify } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OstrataError } from '../../errors.js';
import type { Remote } from './remote.js';

const KEY_SIZE = 32;
const SIGNATURE_SIZE = 64;
/** SubjectPublicKeyInfo of an ed25519 key (RFC 8410) but for its 32 bytes. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const SYSTEM_DIRECTORIES = ['/etc/ostree', '/usr/share/ostree'];

/** Trusted keys, base64. At least one, else an error. */
export function ed25519Keys(
  { ed25519Key, ed25519File }: Pick<Remote, 'ed25519Key' | 'ed25519File'>,
  directories: readonly string[] = SYSTEM_DIRECTORIES,
): readonly string[] {
  const configured = [
    ...(ed25519File === undefined ? [] : keysOf(ed25519File)),
    ...(ed25519Key === undefined ? [] : [canonicalKey(ed25519Key)]),
  ];
  const isConfigured = ed25519File !== undefined || ed25519Key !== undefined;
  const trusted = isConfigured ? configured : systemKeys(directories, 'trusted.ed25519');
  const revoked = new Set(isConfigured ? [] : systemKeys(directories, 'revoked.ed25519'));
  const keys = trusted.filter((key) => !revoked.has(key));
  if (keys.length === 0) {
    throw new OstrataError('NOT_FOUND', 'no key is configured');
  }
  return keys;
}

/** A line that names the key of the first good signature; throws `CORRUPT` where none is good. */
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
    const key = keys.find((each) => verify(null, data, publicKey(each), signature));
    if (key !== undefined) {
      return `ed25519: good signature by key ${key}`;
    }
  }
  throw new OstrataError('CORRUPT', `no good ed25519 signature by any of ${keys.length} keys`);
}

function publicKey(key: string) {
  const der = Buffer.concat([SPKI_PREFIX, Buffer.from(key, 'base64')]);
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}

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

/** A key a line. */
function keysOf(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new OstrataError('NOT_FOUND', `no key file ${path}`);
  }
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line.trim() !== '').map(canonicalKey);
}

function systemKeys(directories: readonly string[], name: string): string[] {
  return directories.flatMap((directory) => {
    const file = join(directory, name);
    const folder = `${file}.d`;
    const more = existsSync(folder) ? readdirSync(folder).sort() : [];
    return [...(existsSync(file) ? [file] : []), ...more.map((each) => join(folder, each))].flatMap(
      keysOf,
    );
  });
}
