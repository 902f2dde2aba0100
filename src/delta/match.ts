/**
 * Finds for each file of a new layer the file of the old image that it can be rebuilt from.
 *
 * The best one has the same content. Otherwise it has the same path; or the same path but for
 * numbers, such as versions in the names of libraries and kernels; or the same name but for
 * numbers, in another directory. Of several, the one is taken whose size is the nearest, and then
 * the first in byte order of the paths.
 */
import { pathFault } from '../tar-diff/operations.js';
import type { RegularFile, Tree, TreePath } from '../tree/tree.js';

/** A file of a new layer. */
export interface NewFile {
  /** SHA-256 of its content. */
  readonly contentDigest: string;
  readonly size: number;
  /** All its paths in the layer. */
  readonly paths: readonly TreePath[];
}

export interface Match {
  readonly old: RegularFile;
  readonly isSame: boolean;
}

/**
 * Names that many unrelated files have are no reason to compare two of them. Limit for the files
 * of the old image with one name.
 */
const MAX_NAMESAKES = 8;
/** A file is not rebuilt from one that is so many times as large, or as small. */
const MAX_SIZE_RATIO = 8;

export class OldFileIndex {
  readonly #byDigest = new Map<string, RegularFile>();
  readonly #byPath = new Map<string, RegularFile>();
  readonly #bySimilarPath = new Map<string, RegularFile[]>();
  readonly #byName = new Map<string, RegularFile[]>();

  /** @param isUsable whether clients find the file at this path */
  constructor(tree: Tree, isUsable: (path: TreePath) => boolean) {
    for (const entry of tree.files) {
      if (entry.type === 'file' && isSource(entry) && isUsable(entry.path)) {
        this.#add(entry);
      }
    }
  }

  find({ contentDigest, size, paths }: NewFile): Match | undefined {
    const same = this.#byDigest.get(contentDigest);
    if (same !== undefined) {
      return { old: same, isSame: true };
    }
    const old = this.#similar(paths, size);
    return old === undefined ? undefined : { old, isSame: false };
  }

  #add(file: RegularFile): void {
    const { path, contentDigest } = file;
    if (contentDigest !== undefined && !this.#byDigest.has(contentDigest)) {
      this.#byDigest.set(contentDigest, file);
    }
    this.#byPath.set(path, file);
    append(this.#bySimilarPath, withoutNumbers(path), file);
    append(this.#byName, withoutNumbers(nameOf(path)), file);
  }

  #similar(paths: readonly TreePath[], size: number): RegularFile | undefined {
    const samePath = paths.flatMap((path) => this.#byPath.get(path) ?? []);
    const similarPath = () =>
      paths.flatMap((path) => this.#bySimilarPath.get(withoutNumbers(path)) ?? []);
    const namesakes = () =>
      paths.flatMap((path) => {
        const files = this.#byName.get(withoutNumbers(nameOf(path))) ?? [];
        return files.length <= MAX_NAMESAKES ? files : [];
      });
    return nearest(samePath, size) ?? nearest(similarPath(), size) ?? nearest(namesakes(), size);
  }
}

function isSource({ path, size }: RegularFile): boolean {
  const relative = path.slice(1);
  return size > 0 && pathFault(relative, Buffer.byteLength(relative)) === undefined;
}

function append(map: Map<string, RegularFile[]>, key: string, file: RegularFile): void {
  const files = map.get(key);
  if (files === undefined) {
    map.set(key, [file]);
  } else {
    files.push(file);
  }
}

/** Returns the text with one character for each version or other number in it. */
function withoutNumbers(text: string): string {
  return text.replace(/\d+(?:[.\-_+~:]\d+)*/g, '#');
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function nearest(files: readonly RegularFile[], size: number): RegularFile | undefined {
  let best: RegularFile | undefined;
  for (const file of files) {
    const ratio = Math.max(file.size, size) / Math.min(file.size, size);
    const distance = Math.abs(file.size - size);
    if (ratio <= MAX_SIZE_RATIO && (best === undefined || distance < Math.abs(best.size - size))) {
      best = file;
    }
  }
  return best;
}
