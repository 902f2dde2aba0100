/**
 * ed25519 signatures (RFC 8032) of 64 bytes. Key files have one key on each line, in base64: a
 * public key of 32 bytes, or a secret key of 64 bytes, which are its seed and the public key.
 * Source: ostree-sign-ed25519.c
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { inContext, OstrataError } from '../../errors.js';
import type { SignatureKind } from './signature-kind.js';

const KEY_SIZE = 32;
const SECRET_KEY_SIZE = 64;
/** SubjectPublicKeyInfo (RFC 8410), without the 32 bytes of the key at its end. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
/** PrivateKeyInfo (RFC 8410), without the 32 bytes of the seed at its end. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

export const ed25519: SignatureKind = {
  name: 'ed25519',
  metadataKey: 'ostree.sign.ed25519',
  signatureSize: 64,
  publicKeysIn: (text) => keysIn(text, canonicalKey),
  canonicalKey,
  publicKey,
  secretKeysIn: (text) => keysIn(text, secretKey),
};

function keysIn<T>(text: string, parse: (line: string) => T): readonly T[] {
  const keys: T[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() !== '') {
      keys.push(inContext(`line ${i + 1}`, () => parse(line)));
    }
  }
  return keys;
}

function canonicalKey(text: string): string {
  return decodeKey('an ed25519 key', text, KEY_SIZE).toString('base64');
}

function publicKey(canonical: string): KeyObject {
  const bytes = Buffer.from(canonical, 'base64');
  const key = Buffer.concat([SPKI_PREFIX, bytes]);
  return createPublicKey({ key, format: 'der', type: 'spki' });
}

function secretKey(text: string): KeyObject {
  const bytes = decodeKey('a secret ed25519 key', text, SECRET_KEY_SIZE);
  const seed = bytes.subarray(0, KEY_SIZE);
  const der = Buffer.concat([PKCS8_PREFIX, seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });

  const publicDer = createPublicKey(key).export({ format: 'der', type: 'spki' });
  if (!bytes.subarray(KEY_SIZE).equals(publicDer.subarray(-KEY_SIZE))) {
    throw new OstrataError('CORRUPT', 'the two halves of the secret ed25519 key do not fit');
  }
  return key;
}

/** What is no public key may be a secret one by mistake, so the message does not show it. */
function decodeKey(what: string, text: string, size: number): Buffer {
  const bytes = Buffer.from(text.trim(), 'base64');
  if (bytes.length !== size) {
    throw new OstrataError('CORRUPT', `${what} is not ${size} bytes in base64: ${bytes.length}`);
  }
  return bytes;
}
