/** Makes trees in memory, for tests of code that works on a {@link Tree}. */
import type { Xattrs } from '../../src/bytes/xattrs.js';
import { OstrataError } from '../../src/errors.js';
import { startFileChecksum } from '../../src/ostree/objects/file.js';
import { encodeXattrs } from '../../src/ostree/objects/xattr-list.js';
import { FileMap } from '../../src/tree/file-map.js';
import { parentPath } from '../../src/tree/path.js';
import type { FileEntry, Tree, TreePath } from '../../src/tree/tree.js';

/** Text or bytes are the content of a file; `target` makes a symlink, `directory` a directory. */
export type EntrySpec =
  | string
  | Uint8Array
  | {
      readonly content?: string | Uint8Array;
      readonly target?: string;
      readonly directory?: true;
      readonly xattrs?: Readonly<Record<string, string | Uint8Array>>;
    };

const S_IFDIR = 0o40000;

/** Makes a tree of `specs` and of their missing parent directories; root owns every entry. */
export function buildTree(specs: Readonly<Record<TreePath, EntrySpec>>): Tree {
  const entries = new Map<string, FileEntry>();
  const contents = new Map<string, Uint8Array>();
  const addDirectory = (path: TreePath, xattrs: Xattrs = new Map()): void => {
    entries.set(path, { type: 'directory', path, mode: S_IFDIR | 0o755, uid: 0, gid: 0, xattrs });
  };
  for (const [path, spec] of Object.entries(specs) as [TreePath, EntrySpec][]) {
    const { content = '', target, directory, xattrs } = isContent(spec) ? { content: spec } : spec;
    const attributes = new Map(
      Object.entries(xattrs ?? {}).map(([name, value]) => [name, Buffer.from(value)]),
    );
    if (directory) {
      addDirectory(path, attributes);
    } else {
      entries.set(path, contentEntry(path, Buffer.from(content), target, attributes));
    }
    contents.set(path, Buffer.from(content));
  }
  for (const path of [...entries.keys()] as TreePath[]) {
    for (let parent = parentPath(path); !entries.has(parent); parent = parentPath(parent)) {
      addDirectory(parent);
    }
  }
  const files = new FileMap(entries.values());
  const contentOf = (path: string | undefined) => {
    const bytes = path === undefined ? undefined : contents.get(path);
    if (bytes === undefined) {
      throw new OstrataError('NOT_FOUND', `no regular file ${path}`);
    }
    return bytes;
  };
  return {
    name: 'a tree in memory',
    files,
    read: (path) => [contentOf(path)],
    bytes: async (path) => contentOf(files.resolve(path, true)?.path),
  };
}

function isContent(spec: EntrySpec): spec is string | Uint8Array {
  return typeof spec === 'string' || spec instanceof Uint8Array;
}

function contentEntry(
  path: TreePath,
  content: Buffer,
  target: string | undefined,
  xattrs: Xattrs,
): FileEntry {
  const mode = target === undefined ? 0o100644 : 0o120777;
  const common = { path, mode, uid: 0, gid: 0, xattrs };
  const size = target === undefined ? content.length : 0;
  const hash = startFileChecksum({
    ...common,
    size,
    ...(target !== undefined && { target }),
    xattrsBytes: encodeXattrs(xattrs),
  });
  if (target !== undefined) {
    return { ...common, type: 'symlink', size: 0, target, checksum: hash.digest('hex') };
  }
  return { ...common, type: 'file', size, checksum: hash.update(content).digest('hex') };
}
