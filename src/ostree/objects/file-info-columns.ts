/**
 * File infos in columns, to be posted from one thread to another. Copying a message takes several
 * times as long for one object per file as for columns: flat arrays of numbers and strings, and
 * attributes that many files have in common as one object, which is copied once.
 */
import type { Xattrs } from '../../bytes/xattrs.js';
import type { FileInfo } from './file.js';

/** Infos of many files. An index refers to the same file in `attributes` and `sizes`. */
export interface FileInfoColumns {
  /**
   * For each file, the first info with the same owner, mode and xattrs. Its size and target belong
   * to another file and are not used.
   */
  readonly attributes: readonly FileInfo[];
  readonly sizes: readonly number[];
  /** Targets of those that are symlinks. */
  readonly targets: readonly string[];
}

/** Packs file infos into columns. */
export function packFileInfos(infos: readonly FileInfo[]): FileInfoColumns {
  const firstAlike = attributeInterner<FileInfo>();
  return {
    attributes: infos.map(firstAlike),
    sizes: infos.map(({ size }) => size),
    targets: infos.flatMap(({ target }) => target ?? []),
  };
}

/** The inverse of {@link packFileInfos}. */
export function unpackFileInfos({ attributes, sizes, targets }: FileInfoColumns): FileInfo[] {
  const nextTarget = targets.values();
  return attributes.map((first, i) => {
    const info = { ...first, size: sizes[i] ?? 0 };
    return info.type === 'file' ? info : { ...info, target: nextTarget.next().value };
  });
}

interface Attributes {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly xattrs: Xattrs;
}

/**
 * Returns a function that returns the first value it was given with the same owner, mode and
 * xattrs. Xattrs are compared by identity: equal sets of one repository are one object.
 */
export function attributeInterner<T extends Attributes>(): (value: T) => T {
  const byXattrs = new Map<Xattrs, Map<string, T>>();
  return (value) => {
    const { uid, gid, mode, xattrs } = value;
    let byNumbers = byXattrs.get(xattrs);
    if (byNumbers === undefined) {
      byNumbers = new Map();
      byXattrs.set(xattrs, byNumbers);
    }
    const numbers = `${uid} ${gid} ${mode}`;
    const first = byNumbers.get(numbers);
    if (first !== undefined) {
      return first;
    }
    byNumbers.set(numbers, value);
    return value;
  };
}
