/** Writes one content object to a file, in the form that each mode of repository keeps (see archive.ts and bare.ts). */
import {
  closeSync,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  lutimesSync,
  openSync,
  symlinkSync,
} from 'node:fs';
import { RawDeflate } from '../../bytes/deflate.js';
import { OstrataError } from '../../errors.js';
import { writeFully } from '../../system/write-fully.js';
import { setXattr } from '../../system/xattr.js';
import type { RepoMode } from '../config.js';
import { encodeOwnerModeXattrs } from '../objects/dirmeta.js';
import { type FileHeader, fileType, filezHeaderBytes } from '../objects/file.js';
import { decodeXattrs } from '../objects/xattr-list.js';

/** Content is compressed in blocks of this many bytes. */
const DEFLATE_BLOCK = 1 << 20;
const SYMLINK_MODE = 0o120777;
const OBJECT_MODE = 0o644;
/** Permissions that an object of a bare-user repository may have in the file system. */
const BARE_USER_MASK = 0o775;

/** Takes the content of one object. */
export interface ContentWriter {
  /** `bytes` are valid until the call returns. */
  write(bytes: Uint8Array): void;
  /** All content was written: gives the file its attributes and closes it. */
  finish(): void;
  /** Closes the file as it is. */
  abandon(): void;
}

/** Extension of content objects. */
export function contentExtension(mode: RepoMode): 'filez' | 'file' {
  return mode === 'archive' ? 'filez' : 'file';
}

/** Begins a file at `path`, which must not exist. Throws `UNSUPPORTED` for what the mode cannot hold. */
export function createContent(
  mode: RepoMode,
  path: string,
  header: FileHeader,
  options: { readonly zlibLevel: number },
): ContentWriter {
  const isSymlink = fileType(header.mode) === 'symlink';
  switch (mode) {
    case 'archive':
      return isSymlink
        ? wholeFile(path, filezHeaderBytes(header))
        : new FilezWriter(path, header, options.zlibLevel);
    case 'bare':
      return isSymlink
        ? symlinkFile(path, header)
        : new FileWriter(path, (fd) => setAttributes(fd, path, header));
    case 'bare-user':
      return new FileWriter(
        path,
        (fd) => setUserMeta(fd, path, header),
        isSymlink ? targetBytes(header) : undefined,
      );
    case 'bare-user-only':
      checkCanonical(header);
      if (isSymlink) {
        return symlinkFile(path, header);
      }
      return new FileWriter(path, (fd) => fchmodSync(fd, header.mode & 0o7777));
    case 'bare-split-xattrs':
      throw new OstrataError('UNSUPPORTED', 'repositories of mode bare-split-xattrs are read only');
  }
}

class FileWriter implements ContentWriter {
  readonly #fd: number;
  readonly #attributes: (fd: number) => void;

  /** @param attributes called before the file is closed @param content written at once */
  constructor(path: string, attributes: (fd: number) => void, content?: Uint8Array) {
    this.#fd = openSync(path, 'wx', 0o600);
    this.#attributes = attributes;
    if (content !== undefined) {
      this.write(content);
    }
  }

  write(bytes: Uint8Array): void {
    writeFully(this.#fd, bytes);
  }

  finish(): void {
    this.#attributes(this.#fd);
    futimesSync(this.#fd, 0, 0); // every object has the same time: compilers compare them
    closeSync(this.#fd);
  }

  abandon(): void {
    closeSync(this.#fd);
  }
}

/** Collects content into blocks and compresses them. */
class FilezWriter implements ContentWriter {
  readonly #fd: number;
  readonly #deflate: RawDeflate;
  readonly #block: Buffer;
  #left: number;
  #filled = 0;

  constructor(path: string, header: FileHeader, level: number) {
    this.#fd = openSync(path, 'wx', OBJECT_MODE);
    this.#deflate = new RawDeflate(level);
    this.#block = Buffer.allocUnsafe(Math.min(header.size, DEFLATE_BLOCK));
    this.#left = header.size;
    writeFully(this.#fd, filezHeaderBytes(header));
    if (header.size === 0) {
      this.#compress(this.#block);
    }
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const wanted = Math.min(this.#left, DEFLATE_BLOCK);
      const length = Math.min(bytes.length - at, wanted - this.#filled);
      if (length === wanted) {
        this.#compress(bytes.subarray(at, at + length));
      } else {
        this.#block.set(bytes.subarray(at, at + length), this.#filled);
        this.#filled += length;
        if (this.#filled === wanted) {
          this.#compress(this.#block.subarray(0, wanted));
        }
      }
      at += length;
    }
  }

  finish(): void {
    fchmodSync(this.#fd, OBJECT_MODE);
    closeSync(this.#fd);
  }

  abandon(): void {
    closeSync(this.#fd);
  }

  #compress(block: Uint8Array): void {
    this.#left -= block.length;
    this.#filled = 0;
    writeFully(this.#fd, this.#deflate.block(block, this.#left === 0));
  }
}

/** An object that is complete as soon as it is begun. */
function complete(): ContentWriter {
  return { write: () => {}, finish: () => {}, abandon: () => {} };
}

function wholeFile(path: string, bytes: Uint8Array): ContentWriter {
  writeObjectFile(path, bytes);
  return complete();
}

/** Creates a file of an object that has no mode of its own: everyone may read it, whatever the umask. */
export function writeObjectFile(path: string, bytes: Uint8Array): void {
  const fd = openSync(path, 'wx', OBJECT_MODE);
  try {
    writeFully(fd, bytes);
    fchmodSync(fd, OBJECT_MODE);
  } finally {
    closeSync(fd);
  }
}

function symlinkFile(path: string, header: FileHeader): ContentWriter {
  if (header.mode !== SYMLINK_MODE) {
    throw new OstrataError(
      'UNSUPPORTED',
      `a symlink of mode 0${header.mode.toString(8)} in a bare repository`,
    );
  }
  symlinkSync(header.target as string, path);
  if (header.uid !== process.getuid?.() || header.gid !== process.getgid?.()) {
    lchownSync(path, header.uid, header.gid);
  }
  for (const [name, value] of decodeXattrs(header.xattrsBytes)) {
    setXattr(path, name, value);
  }
  lutimesSync(path, 0, 0);
  return complete();
}

/** In this order: a new owner takes away setuid bits and capabilities. */
function setAttributes(fd: number, path: string, header: FileHeader): void {
  fchownSync(fd, header.uid, header.gid);
  for (const [name, value] of decodeXattrs(header.xattrsBytes)) {
    setXattr(path, name, value);
  }
  fchmodSync(fd, header.mode & 0o7777);
}

function setUserMeta(fd: number, path: string, header: FileHeader): void {
  setXattr(path, 'user.ostreemeta', encodeOwnerModeXattrs(header));
  const isSymlink = fileType(header.mode) === 'symlink';
  fchmodSync(fd, isSymlink ? OBJECT_MODE : (header.mode & BARE_USER_MASK) | 0o400);
}

function targetBytes({ target }: FileHeader): Uint8Array {
  return Buffer.from(`${target}\0`);
}

/** A bare-user-only repository keeps no owner, no xattrs and no special bits: the checksum would not be that of what is read. */
function checkCanonical({ uid, gid, mode, xattrsBytes }: FileHeader): void {
  const rule =
    uid !== 0 || gid !== 0
      ? `is owned by ${uid}:${gid}`
      : xattrsBytes.length > 0
        ? 'has xattrs'
        : fileType(mode) === 'file' && (mode & 0o7777 & ~BARE_USER_MASK) !== 0
          ? `has mode 0${(mode & 0o7777).toString(8)}`
          : undefined;
  if (rule !== undefined) {
    throw new OstrataError(
      'UNSUPPORTED',
      `it ${rule}, and a bare-user-only repository holds only what was committed with canonical permissions`,
    );
  }
}
