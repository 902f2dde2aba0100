/**
 * Forges a commit of one file whose objects may be such as libostree would not write. All checksums
 * match, so that nothing but the objects themselves is wrong.
 */
import { deflateRawSync } from 'node:zlib';
import { encodeCommit } from '../../src/ostree/objects/commit.js';
import { encodeDirmeta, S_IFDIR, S_IFREG } from '../../src/ostree/objects/dirmeta.js';
import { encodeDirtree } from '../../src/ostree/objects/dirtree.js';
import {
  type FileHeader,
  filezHeaderBytes,
  startFileChecksum,
} from '../../src/ostree/objects/file.js';
import { objectPath, sha256Hex } from '../../src/ostree/objects/object-name.js';
import type { EncodedObject } from '../../src/ostree/objects/object-set.js';
import { RepoBuilder } from './build-repo.js';
import { type ForgedEntry, objectName } from './forge-image.js';

/** What is forged; by default all of it is sound. */
export interface Forgery {
  /** The dirmeta object of the root. */
  readonly dirmeta?: Uint8Array;
  readonly file?: Partial<FileHeader>;
}

const SOUND_DIRMETA = encodeDirmeta({ uid: 0, gid: 0, mode: S_IFDIR | 0o755, xattrs: new Map() });
/** The only file of the commit. */
const FILE_NAME = 'file';

export class ForgedCommit {
  readonly checksum: string;
  /** The commit first. */
  readonly #metadata: readonly EncodedObject[];
  readonly #header: FileHeader;
  readonly #fileChecksum: string;

  constructor({ dirmeta = SOUND_DIRMETA, file = {} }: Forgery = {}) {
    const xattrsBytes = new Uint8Array();
    this.#header = { uid: 0, gid: 0, mode: S_IFREG | 0o644, size: 0, xattrsBytes, ...file };
    this.#fileChecksum = startFileChecksum(this.#header).digest('hex');

    const files = [{ name: FILE_NAME, checksum: this.#fileChecksum }];
    const dirtree = encodeDirtree({ files, dirs: [] });
    const commit = encodeCommit({
      metadata: new Map(),
      related: [],
      subject: '',
      body: '',
      timestamp: 0,
      dirtree: sha256Hex(dirtree),
      dirmeta: sha256Hex(dirmeta),
    });
    this.checksum = sha256Hex(commit);
    this.#metadata = [
      { kind: 'commit', checksum: this.checksum, bytes: commit },
      { kind: 'dirtree', checksum: sha256Hex(dirtree), bytes: dirtree },
      { kind: 'dirmeta', checksum: sha256Hex(dirmeta), bytes: dirmeta },
    ];
  }

  /** The layers of an image that holds the commit. */
  layers(): ForgedEntry[][] {
    const { uid, gid, mode, target, xattrsBytes } = this.#header;
    const commitLayer = this.#metadata.map(
      ({ kind, checksum, bytes }): ForgedEntry => ({
        name: objectName(checksum, kind),
        type: 'file',
        content: bytes,
      }),
    );

    const object = objectName(this.#fileChecksum, 'file');
    const xattrs = objectName(this.#fileChecksum, 'file-xattrs-link');
    const permissions = mode & 0o7777;
    const content: ForgedEntry =
      target === undefined
        ? { name: object, type: 'file', mode: permissions, uid, gid }
        : { name: object, type: 'symlink', mode: permissions, uid, gid, linkname: target };
    const chunkLayer: ForgedEntry[] = [
      { name: xattrs, type: 'file', content: xattrsBytes },
      content,
      { name: FILE_NAME, type: 'link', linkname: object },
    ];
    return [commitLayer, chunkLayer];
  }

  /** Writes the objects into a new archive repository and returns its path. */
  writeRepo(): string {
    const repo = new RepoBuilder('archive');
    for (const { kind, bytes } of this.#metadata) {
      repo.object(kind, bytes);
    }
    const content = this.#header.target === undefined ? deflateRawSync('') : Buffer.alloc(0);
    const file = Buffer.concat([filezHeaderBytes(this.#header), content]);
    repo.write(`objects/${objectPath(this.#fileChecksum, 'filez')}`, file);
    return repo.path;
  }
}
