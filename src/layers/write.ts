/**
 * The tar stream of an ostree layer ("ChunkedV1", as bootc's ostree-ext reads it): a repository of mode
 * bare-split-xattrs below sysroot/ostree/repo whose content objects are hard-linked to their paths.
 *
 * - every layer: directories of the repository, its config;
 * - commit layer: `./`, then the commit, its detached metadata, and depth first every dirtree and dirmeta with the
 *   directory itself;
 * - chunk layer: for each object its xattrs (.file-xattrs-link), the object (.file), and a hard link for each path.
 */

import type { BufferSource } from '../bytes/stream.js';
import { OstrataError } from '../errors.js';
import type { Dirmeta } from '../ostree/objects/dirmeta.js';
import type { FileInfo } from '../ostree/objects/file.js';
import { objectPath } from '../ostree/objects/object-name.js';
import type { OstreeRepo } from '../ostree/repo.js';
import { END_OF_ARCHIVE, encodeTarHeader, type TarEntry, tarPadding } from '../tar/header.js';
import { REPO_DIRECTORY } from '../tree/ostree-tar.js';
import { deployedPath, parentPath } from '../tree/path.js';
import type { TreePath, Xattrs } from '../tree/tree.js';
import { isSkeleton, SKELETON, UNLISTED_XATTR } from './repository.js';
import type { ChunkLayerSpec, CommitLayerSpec, LayerDirectory, LayerSpec } from './spec.js';

const REPO_CONFIG = '[core]\nrepo_version=1\nmode=bare-split-xattrs\n';
/** ext4 allows 65,000 links to an inode; the object is one, and whoever unpacks may add some. */
export const MAX_LINKS = 64_000;

export type Sink = (bytes: Uint8Array) => void;

/**
 * Writes the layer's whole tar to `sink`. Throws what reading the repository throws, e.g. `CORRUPT` for a broken object.
 * @param buffers where content may be put that is given to the sink next
 */
export async function writeOstreeLayer(
  repo: OstreeRepo,
  spec: LayerSpec,
  sink: Sink,
  buffers?: BufferSource,
): Promise<void> {
  const layer = new LayerStream(repo, sink, buffers);
  if (spec.kind === 'commit') {
    layer.commit(spec);
  } else {
    await layer.chunk(spec);
  }
  sink(END_OF_ARCHIVE);
}

/** {@link deployedPath} without leading slash. */
export function tarPath(path: TreePath): string {
  return deployedPath(path).slice(1);
}

class LayerStream {
  readonly #repo: OstreeRepo;
  readonly #sink: Sink;
  readonly #buffers: BufferSource | undefined;

  constructor(repo: OstreeRepo, sink: Sink, buffers?: BufferSource) {
    this.#repo = repo;
    this.#sink = sink;
    this.#buffers = buffers;
  }

  commit({ commit, directories, addVarTmp }: CommitLayerSpec): void {
    const written = new Set<string>();
    const metadata = (checksum: string, kind: 'dirtree' | 'dirmeta') => {
      const path = objectPath(checksum, kind);
      if (written.has(path)) {
        return;
      }
      this.#file(`${REPO_DIRECTORY}/objects/${path}`, this.#repo.loadBytes(checksum, kind));
      written.add(path);
    };
    const attributes = new Map<string, Dirmeta>(); // a few hundred serve all directories
    for (const { path, dirtree, dirmeta } of directories) {
      const directory = attributes.get(dirmeta) ?? this.#repo.loadDirmeta(dirmeta).parsed;
      attributes.set(dirmeta, directory);
      if (path === '/') {
        this.#directory('.', directory);
        this.#skeleton();
        this.#file(
          `${REPO_DIRECTORY}/objects/${objectPath(commit, 'commit')}`,
          this.#repo.loadCommit(commit).bytes,
        );
        const detached = this.#repo.loadCommitMeta(commit)?.bytes;
        if (detached) {
          this.#file(`${REPO_DIRECTORY}/objects/${objectPath(commit, 'commitmeta')}`, detached);
        }
      }
      metadata(dirmeta, 'dirmeta');
      metadata(dirtree, 'dirtree');
      if (path !== '/' && !isSkeleton(path)) {
        this.#directory(tarPath(path), directory);
      }
    }
    if (addVarTmp) {
      this.#directory('var/tmp', { mode: 0o1777, uid: 0, gid: 0, xattrs: new Map() });
    }
  }

  async chunk({ objects, directories }: ChunkLayerSpec): Promise<void> {
    this.#skeleton();
    const written = new Set<string>();
    for (const { checksum, paths, info } of objects) {
      const object = `${REPO_DIRECTORY}/objects/${objectPath(checksum, 'file')}`;
      this.#file(`${object}-xattrs-link`, info.xattrsBytes);
      await this.#content(object, checksum, info);
      let target = object;
      for (const [i, path] of paths.entries()) {
        this.#parents(path, directories, written);
        const name = tarPath(path);
        const isEmpty = info.type === 'file' && info.size === 0;
        if (isEmpty || (i > 0 && i % MAX_LINKS === 0)) {
          await this.#content(name, checksum, info);
          target = name;
        } else {
          const { mode, uid, gid } = info;
          this.#entry({ name, type: 'link', linkname: target, mode, uid, gid, size: 0 });
        }
      }
    }
  }

  /** Directories above `path` that this layer has not written yet. */
  #parents(
    path: TreePath,
    directories: ReadonlyMap<string, LayerDirectory>,
    written: Set<string>,
  ): void {
    const missing: [string, LayerDirectory][] = [];
    for (
      let parent = parentPath(path);
      parent !== '/' && !written.has(parent);
      parent = parentPath(parent)
    ) {
      const directory = directories.get(parent);
      written.add(parent);
      if (directory !== undefined) {
        missing.push([tarPath(parent), directory]);
      }
    }
    for (const [name, directory] of missing.reverse()) {
      this.#directory(name, directory);
    }
  }

  async #content(name: string, checksum: string, info: FileInfo): Promise<void> {
    const { type, mode, uid, gid, size, target } = info;
    const linkname = target !== undefined && { linkname: target };
    this.#entry({ name, type, mode, uid, gid, size, xattrs: listed(info.xattrs), ...linkname });
    if (type === 'symlink') {
      return;
    }
    let length = 0;
    const take = (chunk: Uint8Array) => {
      this.#sink(chunk);
      length += chunk.length;
    };
    const content = this.#repo.readFile(checksum, info, this.#buffers);
    if (Symbol.iterator in content) {
      for (const chunk of content) {
        take(chunk);
      }
    } else {
      for await (const chunk of content) {
        take(chunk);
      }
    }
    if (length !== size) {
      throw new OstrataError(
        'CORRUPT',
        `content object ${checksum}: ${length} bytes instead of ${size}`,
      );
    }
    this.#sink(tarPadding(size));
  }

  #skeleton(): void {
    this.#sink(SKELETON_BYTES);
    this.#file(`${REPO_DIRECTORY}/config`, Buffer.from(REPO_CONFIG));
  }

  #directory(name: string, { mode, uid, gid, xattrs }: LayerDirectory): void {
    this.#entry({ name, type: 'directory', mode, uid, gid, size: 0, xattrs: listed(xattrs) });
  }

  #file(name: string, bytes: Uint8Array): void {
    this.#entry({ name, type: 'file', mode: 0o644, uid: 0, gid: 0, size: bytes.length });
    this.#sink(bytes);
    this.#sink(tarPadding(bytes.length));
  }

  #entry(entry: TarEntry): void {
    this.#sink(encodeTarHeader(entry));
  }
}

/** The same in every layer: made once. */
const SKELETON_BYTES = Buffer.concat(
  SKELETON.map((name) =>
    encodeTarHeader({ name, type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0 }),
  ),
);

function listed(xattrs: Xattrs): Xattrs {
  return xattrs.has(UNLISTED_XATTR)
    ? new Map([...xattrs].filter(([name]) => name !== UNLISTED_XATTR))
    : xattrs;
}
