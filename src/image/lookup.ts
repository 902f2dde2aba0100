/**
 * Reads a few files of an encapsulated commit and as few layers as possible, so that an image in a
 * registry need not be downloaded as a whole.
 */
import { inContext, inContextAsync, OstrataError } from '../errors.js';
import { type LayerContents, type ObjectSink, readOstreeLayer } from '../layers/read.js';
import type { Logger } from '../log.js';
import type { ImageReader } from '../oci/image.js';
import { validateBlob } from '../oci/validate.js';
import { type FileHeader, fileType } from '../ostree/objects/file.js';
import { decodeXattrs } from '../ostree/objects/xattr-list.js';
import { fileEntry } from '../tree/commit.js';
import { CommitPaths } from '../tree/commit-lookup.js';
import { FileMap } from '../tree/file-map.js';
import { type LookupTree, MAX_WHOLE_FILE, wholeFile } from '../tree/lookup.js';
import { parentPath } from '../tree/path.js';
import type { FileEntry, TreePath } from '../tree/tree.js';
import { type ReadLayer, readEncapsulated } from './encapsulated.js';
import { decodeLayerCommit } from './layer-commit.js';

interface FoundObject {
  readonly header: FileHeader;
  readonly chunks: readonly Uint8Array[];
}

/**
 * Returns a tree of the files at `paths` and the directories above them. Reads the commit layer,
 * then other layers until all files are found, those that hold `component` first.
 *
 * Returns undefined if the image has to be read as a whole: it holds no encapsulated commit, it has
 * derived layers, or no path is a file without symlinks above it.
 */
export async function lookupEncapsulated(
  image: ImageReader,
  paths: readonly TreePath[],
  component: string,
  log: Logger,
): Promise<LookupTree | undefined> {
  const layers = await encapsulatedLayers(image, log);
  const [commitLayer, ...chunkLayers] = layers ?? [];
  if (commitLayer === undefined || chunkLayers.some(({ kind }) => kind !== 'chunk')) {
    return undefined;
  }

  const commit = await readLayer(image, commitLayer, 'commit');
  const { objects, directories } = findPaths(image, commit, paths);
  const wanted = new Set(objects.values());
  // Content in the commit layer was not kept while that layer was read.
  if (wanted.size === 0 || [...wanted].some((checksum) => commit.files.has(checksum))) {
    return undefined;
  }

  const found = await findObjects(image, wanted, mostPromisingFirst(chunkLayers, component), log);
  const entries = Array.from(objects, ([path, checksum]) => {
    const object = found.get(checksum);
    if (object === undefined) {
      throw new OstrataError(
        'CORRUPT',
        `${image.name}: object ${checksum} of ${path} is in no layer`,
      );
    }
    return entryOf(path, checksum, object);
  });
  return treeOf(image.name, new FileMap([...directories, ...entries]), found);
}

/** Returns the layers of an encapsulated image, undefined for any other image. */
async function encapsulatedLayers(
  image: ImageReader,
  log: Logger,
): Promise<readonly ReadLayer[] | undefined> {
  try {
    const { layers } = await readEncapsulated(image, log);
    return layers;
  } catch (error) {
    if (error instanceof OstrataError && error.code === 'UNSUPPORTED') {
      return undefined;
    }
    throw error;
  }
}

async function readLayer(
  image: ImageReader,
  { descriptor }: ReadLayer,
  kind: 'commit' | 'chunk',
  sink?: ObjectSink,
): Promise<LayerContents> {
  return inContextAsync(`reading ${image.name}: layer ${descriptor.digest}`, async () => {
    const { visited } = await validateBlob(image.blob(descriptor), descriptor, (tar) =>
      readOstreeLayer(tar, kind, sink),
    );
    return visited;
  });
}

/** The content objects of the files at `paths`, and the directories above those files. */
function findPaths(
  image: ImageReader,
  commitLayer: LayerContents,
  paths: readonly TreePath[],
): {
  readonly objects: ReadonlyMap<TreePath, string>;
  readonly directories: readonly FileEntry[];
} {
  return inContext(`reading ${image.name}`, () => {
    const commit = new CommitPaths(decodeLayerCommit(commitLayer));
    const objects = new Map<TreePath, string>();
    const parents = new Set<TreePath>();
    for (const path of paths) {
      const checksum = commit.contentObject(path);
      if (checksum !== undefined) {
        objects.set(path, checksum);
        addParents(parents, path);
      }
    }
    return { objects, directories: [...parents].flatMap((path) => commit.directory(path) ?? []) };
  });
}

function addParents(parents: Set<TreePath>, path: TreePath): void {
  for (let at = path; at !== '/'; ) {
    at = parentPath(at);
    parents.add(at);
  }
}

/** Sorts layers that hold `component` before others, and small layers before large ones. */
function mostPromisingFirst(layers: readonly ReadLayer[], component: string): readonly ReadLayer[] {
  const rank = ({ recorded, names }: ReadLayer) =>
    (recorded?.components ?? names).includes(component) ? 0 : 1;
  return layers.toSorted((a, b) => rank(a) - rank(b) || a.descriptor.size - b.descriptor.size);
}

/** Reads layer after layer until all content objects of `wanted` are found. */
async function findObjects(
  image: ImageReader,
  wanted: ReadonlySet<string>,
  layers: readonly ReadLayer[],
  log: Logger,
): Promise<ReadonlyMap<string, FoundObject>> {
  const found = new Map<string, FoundObject>();
  for (const layer of layers) {
    if (found.size === wanted.size) {
      break;
    }
    const missing = wanted.size - found.size;
    log.info(`${image.name}: looking for ${missing} files in layer ${layer.descriptor.digest}`);
    await readLayer(image, layer, 'chunk', keepObjects(wanted, found));
  }
  return found;
}

/** Puts the objects of `wanted` into `found`, with their content. */
function keepObjects(wanted: ReadonlySet<string>, found: Map<string, FoundObject>): ObjectSink {
  return {
    file(checksum, header) {
      if (!wanted.has(checksum)) {
        return undefined;
      }
      if (header.size > MAX_WHOLE_FILE) {
        throw new OstrataError('LIMIT', `${header.size} bytes, at most ${MAX_WHOLE_FILE}`);
      }
      const chunks: Uint8Array[] = [];
      return {
        write: (bytes) => chunks.push(bytes.slice()),
        finish: () => found.set(checksum, { header, chunks }),
      };
    },
  };
}

function entryOf(path: TreePath, checksum: string, { header }: FoundObject): FileEntry {
  const type = fileType(header.mode);
  const xattrs = decodeXattrs(header.xattrsBytes);
  return fileEntry(path, checksum, { ...header, type, xattrs });
}

function treeOf(name: string, files: FileMap, found: ReadonlyMap<string, FoundObject>): LookupTree {
  return {
    name,
    files,
    bytes: (path) =>
      wholeFile(path, files.resolve(path, true), name, ({ checksum }) => {
        const object = found.get(checksum);
        return object?.chunks ?? [];
      }),
  };
}
