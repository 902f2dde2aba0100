/**
 * The times of Python sources that their compiled files name. Python compiles a source anew if its
 * time is another (PEP 552: https://peps.python.org/pep-0552/).
 */
import type { LocatedTree } from '../tree/content-location.js';
import { baseName, parentPath } from '../tree/path.js';
import type { FileEntry, RegularFile, TreePath } from '../tree/tree.js';

const SOURCE_SUFFIX = '.py';
const HEADER_SIZE = 16;
/** Versions of CPython that are looked for; a tree rarely has more than two of them. */
const MINOR_VERSIONS = Array.from({ length: 40 }, (_, minor) => minor);

/** Looks up which compiled files a tree has. */
export class PythonTimes {
  readonly #tree: LocatedTree;
  #links: ReadonlyMap<TreePath, readonly TreePath[]> | undefined;

  constructor(tree: LocatedTree) {
    this.#tree = tree;
  }

  /**
   * Returns the time of the source that its compiled file names, in seconds since 1970; undefined
   * if `entry` is no Python source, or has no compiled file that depends on a time.
   */
  async compiledMtime(entry: FileEntry): Promise<number | undefined> {
    if (entry.type !== 'file' || !isSource(entry.path)) {
      return undefined;
    }
    this.#links ??= linkedSources(this.#tree);
    const links = this.#links.get(entry.path) ?? [];
    for (const compiled of [entry.path, ...links].flatMap((path) => this.#compiledFiles(path))) {
      const mtime = sourceMtime(await header(this.#tree, compiled), entry.size);
      if (mtime !== undefined) {
        return mtime;
      }
    }
    return undefined;
  }

  #compiledFiles(source: TreePath): readonly RegularFile[] {
    const name = baseName(source).slice(0, -SOURCE_SUFFIX.length);
    const stem = `${parentPath(source)}/__pycache__/${name}.cpython-3`;
    return MINOR_VERSIONS.flatMap((minor) => {
      const entry = this.#tree.files.get(`${stem}${minor}.pyc`);
      return entry?.type === 'file' ? [entry] : [];
    });
  }
}

function isSource(path: TreePath): boolean {
  return path.endsWith(SOURCE_SUFFIX);
}

/**
 * Returns the symlinks to each source: Python keeps compiled files beside the symlink that it
 * imports. Debian has `/usr/lib/python3/sitecustomize.py` lead to `/etc`.
 */
function linkedSources({ files }: LocatedTree): ReadonlyMap<TreePath, readonly TreePath[]> {
  const links = new Map<TreePath, TreePath[]>();
  for (const { type, path } of files) {
    const source = type === 'symlink' && isSource(path) ? files.resolve(path, true) : undefined;
    if (source !== undefined) {
      const paths = links.get(source.path) ?? [];
      links.set(source.path, [...paths, path]);
    }
  }
  return links;
}

async function header(tree: LocatedTree, { path }: RegularFile): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of tree.read(path)) {
    const part = Buffer.from(chunk.subarray(0, HEADER_SIZE));
    chunks.push(part);
    size += part.length;
    if (size >= HEADER_SIZE) {
      break;
    }
  }
  return Buffer.concat(chunks);
}

/** Returns undefined if the header holds a hash, or belongs to a source of another size. */
function sourceMtime(bytes: Buffer, sourceSize: number): number | undefined {
  if (bytes.length < HEADER_SIZE || bytes.readUInt32LE(4) !== 0) {
    return undefined;
  }
  const size = bytes.readUInt32LE(12);
  return size === sourceSize ? bytes.readUInt32LE(8) : undefined;
}
