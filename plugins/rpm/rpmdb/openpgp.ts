/**
 * What an OpenPGP signature says of itself: algorithms, time and key. Nothing is verified.
 * Spec: RFC 4880, sections 4.2 and 5.2 (https://www.rfc-editor.org/rfc/rfc4880).
 */
import { Cursor } from '../../../src/bytes/cursor.js';
import { OstrataError } from '../../../src/errors.js';

/** The packet tag of signatures. */
const SIGNATURE = 2;
const CREATION_TIME = 2;
const ISSUER_KEY_ID = 16;
const ISSUER_FINGERPRINT = 33;
/** The upper bit of a subpacket's type: a reader that does not know the type must give up. */
const CRITICAL = 0x80;
const KEY_ID_SIZE = 8;
/** Length of the part of a signature of version 3 that is hashed. */
const V3_HASHED_SIZE = 5;

/** Names of algorithms, as rpm prints them. */
const KEY_ALGORITHMS: ReadonlyMap<number, string> = new Map([
  [1, 'RSA'],
  [2, 'RSA(Encrypt-Only)'],
  [3, 'RSA(Sign-Only)'],
  [16, 'Elgamal(Encrypt-Only)'],
  [17, 'DSA'],
  [18, 'Elliptic Curve'],
  [19, 'ECDSA'],
  [20, 'Elgamal'],
  [21, 'Diffie-Hellman (X9.42)'],
  [22, 'EdDSA'],
]);
const HASH_ALGORITHMS: ReadonlyMap<number, string> = new Map([
  [1, 'MD5'],
  [2, 'SHA1'],
  [3, 'RIPEMD160'],
  [5, 'MD2'],
  [6, 'TIGER192'],
  [7, 'HAVAL-5-160'],
  [8, 'SHA256'],
  [9, 'SHA384'],
  [10, 'SHA512'],
  [11, 'SHA224'],
]);

/** What a signature says of itself. */
export interface SignatureFacts {
  readonly keyAlgorithm: string;
  readonly hashAlgorithm: string;
  /** Seconds since 1970. */
  readonly time: number;
  /** 16 hexadecimal digits, all zero if the signature does not name its key. */
  readonly keyId: string;
}

/** Reads one signature packet of version 3 or 4; returns undefined if `bytes` are not just that. */
export function readSignature(bytes: Uint8Array): SignatureFacts | undefined {
  try {
    return readPacket(new Cursor(bytes, 'OpenPGP signature'));
  } catch (error) {
    if (error instanceof OstrataError) {
      return undefined;
    }
    throw error;
  }
}

function readPacket(cursor: Cursor): SignatureFacts | undefined {
  const header = cursor.u8();
  const isNewFormat = (header & 0x40) !== 0;
  const tag = isNewFormat ? header & 0x3f : (header >> 2) & 0x0f;
  const length = isNewFormat ? newLength(cursor) : oldLength(cursor, header & 3);
  if ((header & 0x80) === 0 || tag !== SIGNATURE || length !== cursor.remaining) {
    return undefined;
  }
  switch (cursor.u8()) {
    case 3:
      return readVersion3(cursor);
    case 4:
      return readVersion4(cursor);
    default:
      return undefined;
  }
}

/** The length of a packet of the new format, or of a subpacket. */
function newLength(cursor: Cursor): number {
  const first = cursor.u8();
  if (first < 192) {
    return first;
  }
  return first < 255 ? ((first - 192) << 8) + cursor.u8() + 192 : cursor.u32();
}

/** @param type 0 to 2: the length takes 1, 2 or 4 bytes; 3: there is none */
function oldLength(cursor: Cursor, type: number): number {
  switch (type) {
    case 0:
      return cursor.u8();
    case 1:
      return cursor.u16();
    case 2:
      return cursor.u32();
    default:
      return cursor.remaining;
  }
}

function readVersion3(cursor: Cursor): SignatureFacts | undefined {
  if (cursor.u8() !== V3_HASHED_SIZE) {
    return undefined;
  }
  cursor.u8(); // the type of the signature
  const time = cursor.u32();
  const keyId = hex(cursor.take(KEY_ID_SIZE));
  return { ...readAlgorithms(cursor), time, keyId };
}

function readVersion4(cursor: Cursor): SignatureFacts | undefined {
  cursor.u8(); // the type of the signature
  const algorithms = readAlgorithms(cursor);
  const hashed = readSubpackets(cursor);
  const others = readSubpackets(cursor);
  if (hashed.time === undefined) {
    return undefined; // The time must be signed.
  }
  const keyId = hashed.keyId ?? others.keyId ?? '0'.repeat(2 * KEY_ID_SIZE);
  return { ...algorithms, time: hashed.time, keyId };
}

function readAlgorithms(cursor: Cursor): Pick<SignatureFacts, 'keyAlgorithm' | 'hashAlgorithm'> {
  const keyAlgorithm = KEY_ALGORITHMS.get(cursor.u8()) ?? 'Unknown public key algorithm';
  const hashAlgorithm = HASH_ALGORITHMS.get(cursor.u8()) ?? 'Unknown hash algorithm';
  return { keyAlgorithm, hashAlgorithm };
}

interface Subpackets {
  readonly time: number | undefined;
  readonly keyId: string | undefined;
}

/** Reads a list of subpackets; the first time and the first key count. */
function readSubpackets(cursor: Cursor): Subpackets {
  const list = new Cursor(cursor.take(cursor.u16()), 'OpenPGP subpackets');
  let time: number | undefined;
  let keyId: string | undefined;
  while (list.remaining > 0) {
    const subpacket = new Cursor(list.take(newLength(list)), 'OpenPGP subpacket');
    switch (subpacket.u8() & ~CRITICAL) {
      case CREATION_TIME:
        time ??= subpacket.u32();
        break;
      case ISSUER_KEY_ID:
        keyId ??= hex(subpacket.take(KEY_ID_SIZE));
        break;
      case ISSUER_FINGERPRINT:
        // A fingerprint ends in the key id.
        keyId ??= hex(subpacket.take(subpacket.remaining)).slice(-2 * KEY_ID_SIZE);
        break;
      default:
    }
  }
  return { time, keyId };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
