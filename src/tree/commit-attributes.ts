/**
 * Gives the files of an image the attributes that they have in a commit: SELinux labels of the
 * policy, no empty xattrs, and the mode that Linux gives to symlinks. A layer index has checksums
 * of files as they are in the layer, so files whose attributes change are hashed again.
 */
import type { Xattrs } from '../bytes/xattrs.js';
import { must } from '../errors.js';
import { S_IFLNK } from '../ostree/objects/dirmeta.js';
import { type FileHeader, startFileChecksum } from '../ostree/objects/file.js';
import { encodeXattrs, XattrsInterner, xattrsEncoder } from '../ostree/objects/xattr-list.js';
import type { LocatedTree } from './content-location.js';
import { type DigestOptions, readChecksums } from './file-digests.js';
import { FileMap } from './file-map.js';
import type { FlattenedImage, Source } from './flatten.js';
import { hasLabel, type LabelOf, withLabel } from './labels.js';
import type { ContentEntry, FileEntry, RegularFile, TreePath } from './tree.js';

const SYMLINK_MODE = S_IFLNK | 0o777;

/**
 * Returns `image` with these attributes. Throws what {@link readChecksums} throws.
 * @param tree the image as it is in its layers
 */
export async function withCommitAttributes(
  image: FlattenedImage,
  tree: Pick<LocatedTree, 'content' | 'fetch'>,
  labelOf: LabelOf | undefined,
  options: DigestOptions,
): Promise<FlattenedImage> {
  const finalXattrs = xattrsChanger(labelOf);
  const encode = xattrsEncoder();
  const headerOf = (entry: ContentEntry): FileHeader => {
    const { mode, uid, gid, size, xattrs } = entry;
    const target = entry.type === 'symlink' ? entry.target : undefined;
    return { mode, uid, gid, size, target, xattrsBytes: encode(xattrs) };
  };

  const entries: FileEntry[] = [];
  /** Files with new attributes, by what they were. */
  const changed = new Map<RegularFile, RegularFile>();
  for (const entry of image.files) {
    const xattrs = finalXattrs(entry);
    if (entry.type === 'file' && xattrs !== entry.xattrs) {
      changed.set(entry, { ...entry, xattrs });
    } else if (entry.type === 'symlink') {
      const symlink = { ...entry, mode: SYMLINK_MODE, xattrs };
      const checksum = startFileChecksum(headerOf(symlink)).digest('hex');
      entries.push({ ...symlink, checksum });
    } else {
      entries.push({ ...entry, xattrs });
    }
  }

  const before = [...changed.keys()];
  const newHeader = (file: RegularFile) => headerOf(must(changed.get(file), file.path));
  const checksums = await readChecksums(tree, before, newHeader, options);
  for (const [i, file] of [...changed.values()].entries()) {
    entries.push({ ...file, checksum: must(checksums[i], file.path) });
  }
  const files = new FileMap(entries);
  return { ...image, files, sources: sourcesOf(files, image) };
}

/** Returns a function that returns the xattrs that an entry has in the commit. */
function xattrsChanger(labelOf: LabelOf | undefined): (entry: FileEntry) => Xattrs {
  const interner = new XattrsInterner();
  return ({ path, mode, xattrs }) => {
    const label = labelOf?.(path, mode);
    const hasEmpty = [...xattrs.values()].some(({ length }) => length === 0);
    if (!hasEmpty && hasLabel(xattrs, label)) {
      return xattrs;
    }
    const kept = [...xattrs].filter(([, { length }]) => length > 0);
    return interner.intern(encodeXattrs(withLabel(new Map(kept), label))).xattrs;
  };
}

/** Returns where the content of the files lies, which have new checksums. */
function sourcesOf(files: FileMap, { sources }: FlattenedImage): ReadonlyMap<TreePath, Source> {
  const result = new Map<TreePath, Source>();
  for (const [path, { layer, entry }] of sources) {
    const file = files.get(path);
    if (file !== undefined && file.type !== 'directory') {
      result.set(path, { layer, entry: { ...entry, checksum: file.checksum } });
    }
  }
  return result;
}
