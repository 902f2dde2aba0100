/**
 * Writes the tar of a plain layer: for each path the directories above it that the layer does not
 * have yet, the outermost first, then the file, symlink or hard link. Whiteouts are first, and
 * directories without files last. Format:
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md
 */
import type { BufferSource } from '../bytes/stream.js';
import { WHITEOUT_PREFIX } from '../oci/whiteout.js';
import { END_OF_ARCHIVE, encodeTarHeader, type TarEntry, tarPadding } from '../tar/header.js';
import type { ContentReader } from '../tree/content-location.js';
import { baseName, childPath, parentPath } from '../tree/path.js';
import type { TreePath } from '../tree/tree.js';
import { copyContent, type Sink } from './copy-content.js';
import { listedXattrs, type PlainLayerSpec, type PlainObject } from './plain-spec.js';

/**
 * Writes the whole tar of a layer to `sink`. Throws `CORRUPT` if a file was changed after the tree
 * was opened, and `IO` if it cannot be read.
 * @param buffers memory that content is read into; it then goes to the sink without a copy
 */
export async function writePlainLayer(
  content: ContentReader,
  spec: PlainLayerSpec,
  sink: Sink,
  buffers?: BufferSource,
): Promise<void> {
  const layer = new PlainLayerStream(content, spec, sink, buffers);
  for (const path of spec.whiteouts) {
    layer.whiteout(path);
  }
  for (const object of spec.objects) {
    await layer.object(object);
  }
  for (const path of [...spec.directories.keys()].sort()) {
    layer.directories(path as TreePath);
  }
  sink(END_OF_ARCHIVE);
}

class PlainLayerStream {
  readonly #content: ContentReader;
  readonly #spec: PlainLayerSpec;
  readonly #sink: Sink;
  readonly #buffers: BufferSource | undefined;
  readonly #written = new Set<string>();

  constructor(content: ContentReader, spec: PlainLayerSpec, sink: Sink, buffers?: BufferSource) {
    this.#content = content;
    this.#spec = spec;
    this.#sink = sink;
    this.#buffers = buffers;
  }

  /** Writes what removes `path` from the layers below. */
  whiteout(path: TreePath): void {
    const directory = parentPath(path);
    this.directories(directory);
    const name = tarName(childPath(directory, WHITEOUT_PREFIX + baseName(path)));
    this.#entry({ name, type: 'file', mode: 0, uid: 0, gid: 0, size: 0, mtime: 0 });
  }

  async object({ checksum, paths, info, mtime }: PlainObject): Promise<void> {
    const [path, ...links] = paths;
    const { type, mode, uid, gid, size, target } = info;
    const name = tarName(path);
    const xattrs = listedXattrs(info.xattrs);
    this.directories(parentPath(path));
    this.#entry({ name, type, mode, uid, gid, size, linkname: target, xattrs, mtime });
    if (type === 'file') {
      const bytes = this.#content.read({ path, checksum, info }, this.#buffers);
      await copyContent(bytes, size, this.#sink, path);
      this.#sink(tarPadding(size));
    }

    for (const link of links) {
      this.directories(parentPath(link));
      this.#entry({
        name: tarName(link),
        type: 'link',
        linkname: name,
        mode,
        uid,
        gid,
        size: 0,
        mtime,
      });
    }
  }

  /** Writes `path` and the directories above it that were not written before. */
  directories(path: TreePath): void {
    const missing: TreePath[] = [];
    for (let at = path; !this.#written.has(at); at = parentPath(at)) {
      this.#written.add(at);
      missing.push(at);
    }
    for (const at of missing.reverse()) {
      const directory = this.#spec.directories.get(at);
      if (directory !== undefined) {
        const { mode, uid, gid, mtime } = directory;
        const xattrs = listedXattrs(directory.xattrs);
        this.#entry({
          name: tarName(at),
          type: 'directory',
          mode,
          uid,
          gid,
          size: 0,
          xattrs,
          mtime,
        });
      }
    }
  }

  #entry(entry: TarEntry): void {
    this.#sink(encodeTarHeader(entry));
  }
}

/** Names in a tar are relative; the root is `.`, which becomes `./`. */
function tarName(path: TreePath): string {
  return path === '/' ? '.' : path.slice(1);
}
