/**
 * Writes one content object to a file, in the form of each repository mode. The forms are described
 * in archive.ts and bare.ts, which read them.
 */
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
import type { ContentSink } from '../../bytes/stream.js';
import { must, OstrataError } from '../../errors.js';
import { writeFully } from '../../system/write-fully.js';
import { requireXattrs, setXattr } from '../../system/xattr.js';
import type { RepoConfig, RepoMode } from '../config.js';
import { encodeOwnerModeXattrs, PERMISSION_BITS } from '../objects/dirmeta.js';
import { type FileHeader, fileType, filezHeaderBytes } from '../objects/file.js';
import { decodeXattrs } from '../objects/xattr-list.js';

/** Content is compressed in blocks of this many bytes. */
const DEFLATE_BLOCK = 1 << 20;
const SYMLINK_MODE = 0o120777;
/**
 * Mode of an object's file where the mode of the object itself is kept elsewhere, e.g. in a header.
 */
const OBJECT_MODE = 0o644;
/** Permissions that an object of a bare-user repository may have in the file system. */
const BARE_USER_MASK = 0o775;

/** Takes the content of one file whose object checksum is known only at its end. */
export interface NewContentSink {
  /** `bytes` are valid until the call returns. */
  write(bytes: Uint8Array): void;
  /** The content is complete; `checksum` is the checksum of the object. */
  finish(checksum: string): void;
}

/** Writes one object file. `finish` gives the file its attributes and closes it. */
export interface ContentWriter extends ContentSink {
  /** Closes the file as it is. */
  abandon(): void;
}

/** Returns the kind, which is the file extension, of content objects in a repository. */
export function contentExtension(mode: RepoMode): 'filez' | 'file' {
  return mode === 'archive' ? 'filez' : 'file';
}

/**
 * Begins the file of a content object at `path`, which must not exist.
 * Throws `UNSUPPORTED` for what a repository of this mode cannot hold.
 */
export function createContent(
  config: Pick<RepoConfig, 'mode' | 'zlibLevel'>,
  path: string,
  header: FileHeader,
): ContentWriter {
  const isSymlink = fileType(header.mode) === 'symlink';
  switch (config.mode) {
    case 'archive':
      return isSymlink
        ? createFile(path, filezHeaderBytes(header))
        : new FilezWriter(path, header, config.zlibLevel);
    case 'bare':
      return isSymlink
        ? createSymlink(path, header)
        : new FileWriter(path, (fd) => setAttributes(fd, path, header));
    case 'bare-user':
      return new FileWriter(
        path,
        (fd) => setUserMeta(fd, path, header),
        isSymlink ? Buffer.from(`${targetOf(header)}\0`) : undefined,
      );
    case 'bare-user-only':
      requireCanonical(header);
      return isSymlink
        ? createSymlink(path, header)
        : new FileWriter(path, (fd) => fchmodSync(fd, header.mode & PERMISSION_BITS));
    case 'bare-split-xattrs':
      throw readOnly();
  }
}

/**
 * Throws `UNSUPPORTED` if no content object at all can be written into a repository of this mode:
 * that should be known before anything is fetched.
 */
export function checkContentWritable(mode: RepoMode): void {
  if (mode === 'bare-split-xattrs') {
    throw readOnly();
  }
  if (mode === 'bare-user') {
    requireXattrs();
  }
}

function readOnly(): OstrataError {
  return new OstrataError('UNSUPPORTED', 'repositories of mode bare-split-xattrs are read only');
}

/** Writes the content of an object as it is. */
class FileWriter implements ContentWriter {
  readonly #fd: number;
  readonly #setAttributes: (fd: number) => void;

  /**
   * @param setAttributes called before the file is closed
   * @param content written at once
   */
  constructor(path: string, setAttributes: (fd: number) => void, content?: Uint8Array) {
    this.#fd = openSync(path, 'wx', 0o600);
    this.#setAttributes = setAttributes;
    if (content !== undefined) {
      this.write(content);
    }
  }

  write(bytes: Uint8Array): void {
    writeFully(this.#fd, bytes);
  }

  finish(): void {
    this.#setAttributes(this.#fd);
    // All objects have the same mtime: compilers and caches compare the times of deployed files.
    futimesSync(this.#fd, 0, 0);
    closeSync(this.#fd);
  }

  abandon(): void {
    closeSync(this.#fd);
  }
}

/** Collects the content of an object into blocks and compresses them. */
class FilezWriter implements ContentWriter {
  readonly #fd: number;
  readonly #deflate: RawDeflate;
  readonly #block: Buffer;
  /** Bytes in `#block`. */
  #filled = 0;
  /** Bytes of content that are not yet compressed. */
  #left: number;

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
      const blockSize = Math.min(this.#left, DEFLATE_BLOCK);
      const length = Math.min(bytes.length - at, blockSize - this.#filled);
      const part = bytes.subarray(at, at + length);
      at += length;

      // A whole block needs no copy.
      if (length === blockSize) {
        this.#compress(part);
        continue;
      }
      this.#block.set(part, this.#filled);
      this.#filled += length;
      if (this.#filled === blockSize) {
        this.#compress(this.#block.subarray(0, blockSize));
      }
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
    const isLast = this.#left === 0;
    writeFully(this.#fd, this.#deflate.block(block, isLast));
  }
}

/** The writer of an object whose file is complete from the start. */
const COMPLETE: ContentWriter = { write() {}, finish() {}, abandon() {} };

function createFile(path: string, bytes: Uint8Array): ContentWriter {
  writeObjectFile(path, bytes);
  return COMPLETE;
}

/**
 * Creates a file that is readable by all, whatever the umask. It is meant for objects that
 * deployments do not hard-link.
 */
export function writeObjectFile(path: string, bytes: Uint8Array): void {
  const fd = openSync(path, 'wx', OBJECT_MODE);
  try {
    writeFully(fd, bytes);
    fchmodSync(fd, OBJECT_MODE);
  } finally {
    closeSync(fd);
  }
}

function createSymlink(path: string, header: FileHeader): ContentWriter {
  if (header.mode !== SYMLINK_MODE) {
    throw new OstrataError(
      'UNSUPPORTED',
      `a symlink of mode 0${header.mode.toString(8)} in a bare repository`,
    );
  }

  symlinkSync(targetOf(header), path);
  if (header.uid !== process.getuid?.() || header.gid !== process.getgid?.()) {
    lchownSync(path, header.uid, header.gid);
  }
  setXattrs(path, header);
  lutimesSync(path, 0, 0);
  return COMPLETE;
}

function targetOf(header: FileHeader): string {
  return must(header.target, 'the target of a symlink');
}

/** The order matters: chown(2) clears setuid bits and capabilities. */
function setAttributes(fd: number, path: string, header: FileHeader): void {
  fchownSync(fd, header.uid, header.gid);
  setXattrs(path, header);
  fchmodSync(fd, header.mode & PERMISSION_BITS);
}

function setXattrs(path: string, header: FileHeader): void {
  for (const [name, value] of decodeXattrs(header.xattrsBytes)) {
    setXattr(path, name, value);
  }
}

function setUserMeta(fd: number, path: string, header: FileHeader): void {
  setXattr(path, 'user.ostreemeta', encodeOwnerModeXattrs(header));
  const isSymlink = fileType(header.mode) === 'symlink';
  fchmodSync(fd, isSymlink ? OBJECT_MODE : (header.mode & BARE_USER_MASK) | 0o400);
}

/**
 * A bare-user-only repository keeps neither owner nor xattrs nor special permission bits. An object
 * with any of them would be read back with another checksum.
 */
function requireCanonical(header: FileHeader): void {
  const reason = whyNotCanonical(header);
  if (reason !== undefined) {
    throw new OstrataError(
      'UNSUPPORTED',
      `it ${reason}, and a bare-user-only repository holds only what was committed with ` +
        'canonical permissions',
    );
  }
}

function whyNotCanonical({ uid, gid, mode, xattrsBytes }: FileHeader): string | undefined {
  if (uid !== 0 || gid !== 0) {
    return `is owned by ${uid}:${gid}`;
  }
  if (xattrsBytes.length > 0) {
    return 'has xattrs';
  }
  const permissions = mode & PERMISSION_BITS;
  if (fileType(mode) === 'file' && (permissions & ~BARE_USER_MASK) !== 0) {
    return `has mode 0${permissions.toString(8)}`;
  }
  return undefined;
}
