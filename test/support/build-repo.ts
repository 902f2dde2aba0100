/** Makes small ostree repositories with our own encoders; needs neither root nor `ostree`. */
import { chmodSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import type { Xattrs } from '../../src/bytes/xattrs.js';
import type { RepoMode } from '../../src/ostree/config.js';
import {
  type Commit,
  encodeCommit,
  encodeMetadata,
  type Metadata,
} from '../../src/ostree/objects/commit.js';
import { encodeDirmeta } from '../../src/ostree/objects/dirmeta.js';
import { type Dirtree, encodeDirtree } from '../../src/ostree/objects/dirtree.js';
import {
  type FileHeader,
  filezHeaderBytes,
  startFileChecksum,
} from '../../src/ostree/objects/file.js';
import { type MetadataKind, objectPath, sha256Hex } from '../../src/ostree/objects/object-name.js';
import { encodeXattrs } from '../../src/ostree/objects/xattr-list.js';
import { scratchDirectory } from './scratch.js';

export interface FileSpec {
  readonly content?: string | Uint8Array;
  /** The target of a symlink. */
  readonly target?: string;
  /** Permission bits; 0644 by default. */
  readonly mode?: number;
  readonly xattrs?: Xattrs;
  /** Owner and group; by default as {@link RepoBuilder.file} says. */
  readonly owner?: readonly [uid: number, gid: number];
}

/** A tree by names: text is the content of a file, a Map is a directory. */
export type TreeSpec = ReadonlyMap<string, string | FileSpec | TreeSpec>;

/** Writes objects into a repository; each method returns the checksum of the object it wrote. */
export class RepoBuilder {
  readonly path: string;
  readonly mode: RepoMode;

  /** Makes a repository in a new directory below `parent`; its files belong to the current user. */
  constructor(mode: RepoMode, config = '', parent = scratchDirectory()) {
    this.path = mkdtempSync(join(parent, 'ostrata-repo-'));
    this.mode = mode;
    for (const name of ['objects', 'state', 'refs/heads', 'refs/remotes']) {
      mkdirSync(join(this.path, name), { recursive: true });
    }
    this.write('config', `[core]\nrepo_version=1\nmode=${mode}\n${config}`);
  }

  /** Writes `bytes` at a path in the repository. */
  write(path: string, bytes: string | Uint8Array): void {
    mkdirSync(dirname(join(this.path, path)), { recursive: true });
    writeFileSync(join(this.path, path), bytes);
  }

  /** Writes a metadata object, under a wrong name if `checksum` is given. */
  object(kind: MetadataKind, bytes: Uint8Array, checksum = sha256Hex(bytes)): string {
    this.write(`objects/${objectPath(checksum, kind)}`, bytes);
    return checksum;
  }

  /**
   * Writes a content object. In archive and bare-user-only mode root owns it, else the current
   * user.
   */
  file({ content = '', target, mode = 0o644, xattrs = new Map(), owner }: FileSpec): string {
    const bytes = Buffer.from(content);
    const rootOwned = this.mode === 'archive' || this.mode === 'bare-user-only';
    const [uid, gid] =
      owner ?? (rootOwned ? [0, 0] : [process.getuid?.() ?? 0, process.getgid?.() ?? 0]);
    const header: FileHeader = {
      uid,
      gid,
      mode: target === undefined ? 0o100000 | mode : 0o120777,
      size: bytes.length,
      ...(target !== undefined && { target }),
      xattrsBytes: encodeXattrs(xattrs),
    };
    const checksum = startFileChecksum(header).update(bytes).digest('hex');
    if (this.mode === 'archive') {
      const compressed = target === undefined ? deflateRawSync(bytes) : '';
      this.write(
        `objects/${objectPath(checksum, 'filez')}`,
        Buffer.concat([filezHeaderBytes(header), Buffer.from(compressed)]),
      );
      return checksum;
    }
    const path = `objects/${objectPath(checksum, 'file')}`;
    if (this.mode === 'bare-split-xattrs') {
      this.write(`${path}-xattrs-link`, header.xattrsBytes);
    }
    if (target === undefined) {
      this.write(path, bytes);
      chmodSync(join(this.path, path), mode);
    } else {
      mkdirSync(dirname(join(this.path, path)), { recursive: true });
      symlinkSync(target, join(this.path, path));
    }
    return checksum;
  }

  dirmeta(mode = 0o40755, xattrs: Xattrs = new Map()): string {
    return this.object('dirmeta', encodeDirmeta({ uid: 0, gid: 0, mode, xattrs }));
  }

  dirtree(dirtree: Dirtree): string {
    return this.object('dirtree', encodeDirtree(dirtree));
  }

  tree(spec: TreeSpec): string {
    const files: { name: string; checksum: string }[] = [];
    const dirs: { name: string; dirtree: string; dirmeta: string }[] = [];
    for (const [name, each] of spec) {
      if (each instanceof Map) {
        dirs.push({ name, dirtree: this.tree(each), dirmeta: this.dirmeta() });
      } else {
        files.push({
          name,
          checksum: this.file(typeof each === 'string' ? { content: each } : (each as FileSpec)),
        });
      }
    }
    return this.dirtree({ files, dirs });
  }

  commit(dirtree: string, change: Partial<Commit> = {}): string {
    const commit = {
      metadata: new Map(),
      related: [],
      subject: 'test',
      body: '',
      timestamp: 1_700_000_000,
    };
    return this.object(
      'commit',
      encodeCommit({ ...commit, dirtree, dirmeta: this.dirmeta(), ...change }),
    );
  }

  commitMeta(commit: string, metadata: Metadata): void {
    this.object('commitmeta', encodeMetadata(metadata), commit);
  }
}

/** Makes a directory for {@link RepoBuilder.tree}; names must be in ascending order. */
export function dir(entries: Readonly<Record<string, string | FileSpec | TreeSpec>>): TreeSpec {
  return new Map(Object.entries(entries));
}
