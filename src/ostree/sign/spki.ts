/**
 * Signatures by any kind of key that OpenSSL knows, with the digest that is standard for it. Key
 * files are in PEM (RFC 7468): `PUBLIC KEY` (SubjectPublicKeyInfo, RFC 5280) or `PRIVATE KEY`
 * (PKCS #8, RFC 5958), of which a file may have several.
 * Source: ostree-sign-spki.c, ostree-blob-reader-pem.c
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { OstrataError } from '../../errors.js';
import type { SignatureKind } from './signature-kind.js';

const BEGIN = /^-----BEGIN /gm;
/** A key with its label; what is outside keys may be any text. */
const BLOCK = /^-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)^-----END \1-----/gm;

export const spki: SignatureKind = {
  name: 'spki',
  metadataKey: 'ostree.sign.spki',
  signatureSize: undefined,
  publicKeysIn: (text) => blocksIn(text, 'PUBLIC KEY').map(canonicalKey),
  canonicalKey,
  publicKey,
  secretKeysIn: (text) => blocksIn(text, 'PRIVATE KEY').map(secretKey),
};

/** Returns the base64 of each PEM block. Throws `CORRUPT` for a block with another label. */
function blocksIn(text: string, label: string): readonly string[] {
  const blocks = [...text.matchAll(BLOCK)];
  const other = blocks.find(([, found]) => found !== label);
  if (other !== undefined) {
    const message = `expected a PEM ${label}, got ${other[1]}`;
    throw new OstrataError('CORRUPT', `${message}; see openssl-pkcs8(1) and openssl-pkey(1)`);
  }
  const begun = text.match(BEGIN)?.length ?? 0;
  if (begun > blocks.length) {
    throw new OstrataError('CORRUPT', `${begun} keys begin, and ${blocks.length} are whole`);
  }
  return blocks.map(([, , base64 = '']) => base64);
}

function canonicalKey(base64: string): string {
  const der = publicKey(base64).export({ format: 'der', type: 'spki' });
  return der.toString('base64');
}

function publicKey(base64: string): KeyObject {
  const key = Buffer.from(base64, 'base64');
  const read = () => createPublicKey({ key, format: 'der', type: 'spki' });
  return parseKey(read, 'a public key is no SubjectPublicKeyInfo');
}

function secretKey(base64: string): KeyObject {
  const key = Buffer.from(base64, 'base64');
  const read = () => createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  return parseKey(read, 'a private key is not in the form PKCS #8');
}

/** The errors of OpenSSL say nothing that helps. */
function parseKey(read: () => KeyObject, message: string): KeyObject {
  try {
    return read();
  } catch (error) {
    throw new OstrataError('CORRUPT', message, { cause: error });
  }
}
