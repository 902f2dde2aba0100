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
  const headerOf = headerEncoder();
  const entries: FileEntry[] = [];
  const changed: ChangedFile[] = [];
  for (const entry of image.files) {
    const xattrs = finalXattrs(entry);
    if (entry.type === 'file' && xattrs !== entry.xattrs) {
      changed.push({ before: entry, after: { ...entry, xattrs } });
      continue;
    }
    if (entry.type !== 'symlink') {
      entries.push({ ...entry, xattrs });
      continue;
    }
    const symlink = { ...entry, mode: SYMLINK_MODE, xattrs };
    const hash = startFileChecksum(headerOf(symlink));
    entries.push({ ...symlink, checksum: hash.digest('hex') });
  }

  const toHash = changed.map(({ before, after }) => ({
    file: before,
    header: headerOf(after),
  }));
  const checksums = await readChecksums(tree, toHash, options);
  for (const [i, { after }] of changed.entries()) {
    const checksum = must(checksums[i], after.path);
    entries.push({ ...after, checksum });
  }
  const files = new FileMap(entries);
  return { ...image, files, sources: sourcesOf(files, image) };
}

/** A file that gets other xattrs. */
interface ChangedFile {
  readonly before: RegularFile;
  readonly after: RegularFile;
}

function headerEncoder(): (entry: ContentEntry) => FileHeader {
  const encode = xattrsEncoder();
  return (entry) => {
    const { mode, uid, gid, size, xattrs } = entry;
    const target = entry.type === 'symlink' ? entry.target : undefined;
    return {
      mode,
      uid,
      gid,
      size,
      target,
      xattrsBytes: encode(xattrs),
    };
  };
}

/** Returns a function that returns the xattrs that an entry has in the commit. */
function xattrsChanger(labelOf: LabelOf | undefined): (entry: FileEntry) => Xattrs {
  const interner = new XattrsInterner();
  return ({ path, mode, xattrs }) => {
    const label = labelOf?.(path, mode);
    const kept = [...xattrs].filter(([, value]) => value.length > 0);
    if (kept.length === xattrs.size && hasLabel(xattrs, label)) {
      return xattrs;
    }
    const labeled = withLabel(new Map(kept), label);
    const interned = interner.intern(encodeXattrs(labeled));
    return interned.xattrs;
  };
}

/** Returns where the content of the files lies, which have new checksums. */
function sourcesOf(files: FileMap, { sources }: FlattenedImage): ReadonlyMap<TreePath, Source> {
  const result = new Map<TreePath, Source>();
  for (const [path, { layer, entry }] of sources) {
    const file = files.get(path);
    if (file === undefined || file.type === 'directory') {
      continue;
    }
    const { checksum } = file;
    result.set(path, { layer, entry: { ...entry, checksum } });
  }
  return result;
}
