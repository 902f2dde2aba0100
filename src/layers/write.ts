/**
 * Writes the tar of an ostree layer, in format version 1 with the bytes of ostree-ext. See
 * ../tree/ostree-tar.ts for the entries of objects.
 *
 * - Every layer begins with the directories of the repository and its config.
 * - The commit layer has `./` before them. The commit and its detached metadata follow, then depth
 *   first of each directory its dirmeta, the directory itself, and its dirtree. What is below
 *   `/sysroot` comes last.
 * - A chunk layer has for each object its xattrs (`.file-xattrs-link`), the object (`.file`), and a
 *   hard link for each path, after the directories above it.
 */
import type { BufferSource } from '../bytes/stream.js';
import { must } from '../errors.js';
import { decodeDirmeta } from '../ostree/objects/dirmeta.js';
import { type ObjectKind, objectPath } from '../ostree/objects/object-name.js';
import { TAR_BLOCK } from '../tar/fields.js';
import { END_OF_ARCHIVE, encodeTarHeader, type TarEntry, tarPadding } from '../tar/header.js';
import type { CommitDirectory } from '../tree/commit-walk.js';
import type { ContentReader, LocatedFile } from '../tree/content-location.js';
import { OBJECTS_PREFIX, REPO_DIRECTORY } from '../tree/ostree-tar.js';
import { deployedPath, parentPath } from '../tree/path.js';
import type { TreePath } from '../tree/tree.js';
import { copyContent, type Sink } from './copy-content.js';
import { isSkeleton, listedXattrs, SKELETON } from './repository.js';
import {
  type ChunkLayerSpec,
  type CommitLayerSpec,
  copiedXattrs,
  type LayerDirectory,
  type OstreeLayerSpec,
} from './spec.js';

const REPO_CONFIG = '[core]\nrepo_version=1\nmode=bare-split-xattrs\n';
/**
 * Limit for the paths that are hard links to one file: ext4 allows 65,000 links, one of them is the
 * object itself, and programs that unpack images may add some.
 */
export const MAX_LINKS = 64_000;

/**
 * Writes the whole tar of a layer to `sink`. Throws the errors of reading its objects, e.g.
 * `CORRUPT` for a broken one.
 * @param buffers memory that content is read into; it then goes to the sink without a copy
 */
export async function writeOstreeLayer(
  content: ContentReader,
  spec: OstreeLayerSpec,
  sink: Sink,
  buffers?: BufferSource,
): Promise<void> {
  const layer = new LayerStream(content, sink, buffers);
  if (spec.kind === 'commit') {
    layer.commit(spec);
  } else {
    await layer.chunk(spec);
  }
  sink(END_OF_ARCHIVE);
}

/** Returns the name of a path of the commit in the tar. */
export function tarPath(path: TreePath): string {
  return deployedPath(path).slice(1);
}

class LayerStream {
  readonly #content: ContentReader;
  readonly #sink: Sink;
  readonly #buffers: BufferSource | undefined;

  constructor(content: ContentReader, sink: Sink, buffers?: BufferSource) {
    this.#content = content;
    this.#sink = sink;
    this.#buffers = buffers;
  }

  commit(spec: CommitLayerSpec): void {
    const { directories, loadBytes, addVarTmp } = spec;
    const written = new Set<string>();
    const attributes = new Map<string, LayerDirectory>(); // directories share a few hundred
    const writeObject = (checksum: string, kind: 'dirtree' | 'dirmeta') => {
      const name = objectName(checksum, kind);
      if (!written.has(name)) {
        this.#file(name, loadBytes(checksum, kind));
        written.add(name);
      }
    };
    const write = ({ path, dirtree, dirmeta }: CommitDirectory) => {
      const directory = attributes.get(dirmeta) ?? attributesOf(dirmeta, spec);
      attributes.set(dirmeta, directory);
      if (path === '/') {
        this.#directory('./', directory);
        this.#skeleton();
        this.#commitObjects(spec);
      }

      writeObject(dirmeta, 'dirmeta');
      if (path !== '/' && !isSkeleton(path)) {
        this.#directory(`./${tarPath(path)}`, directory);
      }
      writeObject(dirtree, 'dirtree');
    };

    // ostree-ext writes the dirmeta of /sysroot, and what is below it only if it is elsewhere, too.
    const sysroot: CommitDirectory[] = [];
    for (const directory of directories) {
      const { path, dirmeta } = directory;
      const isSysroot = path === '/sysroot';
      if (isSysroot) {
        writeObject(dirmeta, 'dirmeta');
      }
      if (isSysroot || path.startsWith('/sysroot/')) {
        sysroot.push(directory);
      } else {
        write(directory);
      }
    }
    sysroot.forEach(write);
    if (addVarTmp) {
      this.#directory('var/tmp', {
        mode: 0o1777,
        uid: 0,
        gid: 0,
        xattrs: new Map(),
      });
    }
  }

  /** Writes the commit and, if it has any, its detached metadata. */
  #commitObjects({ commit, commitBytes, detachedMetadata }: CommitLayerSpec): void {
    this.#file(objectName(commit, 'commit'), commitBytes);
    if (detachedMetadata !== undefined) {
      this.#file(objectName(commit, 'commitmeta'), detachedMetadata);
    }
  }

  async chunk({ objects, formatVersion, directories }: ChunkLayerSpec): Promise<void> {
    this.#skeleton();
    const written = new Set<string>();
    for (const { checksum, paths, info } of objects) {
      const object = objectName(checksum, 'file');
      const file = { path: must(paths[0], 'a path of an object'), checksum, info };
      this.#file(`${object}-xattrs-link`, info.xattrsBytes);
      const block = await this.#object(object, file);

      const { type, mode, uid, gid, size } = info;
      const isEmpty = type === 'file' && size === 0;
      const linkType = isEmpty ? 'file' : 'link';
      const xattrs = copiedXattrs(info, formatVersion);
      let target = object;
      for (const [i, path] of paths.entries()) {
        this.#parents(path, directories, written);
        const name = tarPath(path);
        if (!isEmpty && i > 0 && i % MAX_LINKS === 0) {
          await this.#object(name, file);
          target = name;
        } else {
          const linkname = isEmpty ? undefined : target;
          const link: TarEntry = {
            name,
            type: linkType,
            mode,
            uid,
            gid,
            size: 0,
            linkname,
            xattrs,
          };
          this.#sink(encodeTarHeader(link, block));
        }
      }
    }
  }

  /** Writes the directories above `path` that this layer does not have yet, the outermost first. */
  #parents(
    path: TreePath,
    directories: ReadonlyMap<string, LayerDirectory>,
    written: Set<string>,
  ): void {
    const missing: [string, LayerDirectory][] = [];
    let parent = parentPath(path);
    while (parent !== '/' && !written.has(parent)) {
      written.add(parent);
      const directory = directories.get(parent);
      if (directory !== undefined) {
        missing.push([tarPath(parent), directory]);
      }
      parent = parentPath(parent);
    }
    for (const [name, directory] of missing.reverse()) {
      this.#directory(name, directory);
    }
  }

  /**
   * Writes a file or symlink at `name` with the content of an object. Returns its header block.
   */
  async #object(name: string, file: LocatedFile): Promise<Uint8Array> {
    const { checksum, info } = file;
    const { type, mode, uid, gid, size, target } = info;
    const xattrs = listedXattrs(info.xattrs);
    const header = encodeTarHeader({ name, type, mode, uid, gid, size, linkname: target, xattrs });
    const block = header.subarray(-TAR_BLOCK);
    this.#sink(header);
    if (type === 'symlink') {
      return block;
    }
    const content = this.#content.read(file, this.#buffers);
    await copyContent(content, size, this.#sink, `content object ${checksum}`);
    this.#sink(tarPadding(size));
    return block;
  }

  #skeleton(): void {
    this.#sink(SKELETON_BYTES);
    this.#file(`${REPO_DIRECTORY}/config`, Buffer.from(REPO_CONFIG));
  }

  #directory(name: string, { mode, uid, gid, xattrs }: LayerDirectory): void {
    this.#entry({
      name,
      type: 'directory',
      mode,
      uid,
      gid,
      size: 0,
      xattrs: listedXattrs(xattrs),
    });
  }

  #file(name: string, bytes: Uint8Array): void {
    this.#entry({
      name,
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: bytes.length,
    });
    this.#sink(bytes);
    this.#sink(tarPadding(bytes.length));
  }

  #entry(entry: TarEntry): void {
    this.#sink(encodeTarHeader(entry));
  }
}

/** The headers of the repository's directories, which are the same in every layer. */
const SKELETON_BYTES = Buffer.concat(
  SKELETON.map((name) =>
    encodeTarHeader({
      name,
      type: 'directory',
      mode: 0o755,
      uid: 0,
      gid: 0,
      size: 0,
    }),
  ),
);

/** Returns what an entry of a directory has; in format version 1 this is no xattrs. */
function attributesOf(
  dirmeta: string,
  { loadBytes, formatVersion }: CommitLayerSpec,
): LayerDirectory {
  const decoded = decodeDirmeta(loadBytes(dirmeta, 'dirmeta'));
  return formatVersion === 1 ? { ...decoded, xattrs: new Map() } : decoded;
}

function objectName(checksum: string, kind: ObjectKind): string {
  return `${OBJECTS_PREFIX}${objectPath(checksum, kind)}`;
}
