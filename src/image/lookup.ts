/** A few files of an encapsulated commit, without reading the whole image: of a registry, without downloading it. */
import { inContextAsync, OstrataError } from '../errors.js';
import { type LayerContents, type ObjectSink, readOstreeLayer } from '../layers/read.js';
import type { Logger } from '../log.js';
import type { ImageReader } from '../oci/image.js';
import { validateBlob } from '../oci/validate.js';
import { decodeCommit } from '../ostree/objects/commit.js';
import { decodeDirmeta } from '../ostree/objects/dirmeta.js';
import { decodeDirtree } from '../ostree/objects/dirtree.js';
import { type FileHeader, fileType } from '../ostree/objects/file.js';
import { encodeObjectName } from '../ostree/objects/object-name.js';
import { decodeXattrs } from '../ostree/objects/xattr-list.js';
import { fileEntry } from '../tree/commit.js';
import { FileMap } from '../tree/file-map.js';
import { type LookupTree, MAX_WHOLE_FILE, wholeFile } from '../tree/lookup.js';
import type { FileEntry, TreePath } from '../tree/tree.js';
import { type ReadLayer, readEncapsulated } from './encapsulated.js';

interface FoundObject {
  readonly header: FileHeader;
  readonly chunks: Uint8Array[];
}

/**
 * The files that the commit has at `paths`, and nothing else of it. Reads the commit layer, then layers until all are found:
 * those first that hold `component`. Undefined where that would not do: the image is no encapsulated commit, it has
 * derived layers, or none of the paths is a file without symlinks on the way.
 */
export async function lookupEncapsulated(
  image: ImageReader,
  paths: readonly TreePath[],
  component: string,
  log: Logger,
): Promise<LookupTree | undefined> {
  const layers = await layersOf(image, log);
  const [commitLayer, ...chunks] = layers ?? [];
  if (commitLayer === undefined || chunks.some(({ kind }) => kind !== 'chunk')) {
    return undefined;
  }
  const { metadata, files: inCommitLayer } = await readLayer(image, commitLayer, 'commit');
  const { directories, objects } = findPaths(metadata, paths);
  const wanted = new Set(objects.values());
  if (wanted.size === 0 || [...wanted].some((checksum) => inCommitLayer.has(checksum))) {
    return undefined;
  }

  const found = new Map<string, FoundObject>();
  const rank = ({ recorded, names }: ReadLayer) =>
    (recorded?.components ?? names).includes(component) ? 0 : 1;
  for (const layer of chunks.sort(
    (a, b) => rank(a) - rank(b) || a.descriptor.size - b.descriptor.size,
  )) {
    if (found.size === wanted.size) {
      break;
    }
    log.info(
      `${image.name}: looking for ${wanted.size - found.size} files in layer ${layer.descriptor.digest}`,
    );
    await readLayer(image, layer, 'chunk', (checksum, header) => {
      if (!wanted.has(checksum)) {
        return undefined;
      }
      if (header.size > MAX_WHOLE_FILE) {
        throw new OstrataError('LIMIT', `${header.size} bytes, at most ${MAX_WHOLE_FILE}`);
      }
      const object: FoundObject = { header, chunks: [] };
      return {
        write: (bytes) => object.chunks.push(bytes.slice()),
        finish: () => found.set(checksum, object),
      };
    });
  }
  const entries = [...objects].map(([path, checksum]) => {
    const object = found.get(checksum);
    if (object === undefined) {
      throw new OstrataError(
        'CORRUPT',
        `${image.name}: object ${checksum} of ${path} is in no layer`,
      );
    }
    const { header } = object;
    return fileEntry(path, checksum, {
      ...header,
      type: fileType(header.mode),
      xattrs: decodeXattrs(header.xattrsBytes),
    });
  });
  const files = new FileMap([...directories, ...entries]);
  return {
    name: image.name,
    files,
    bytes: (path) =>
      wholeFile(
        path,
        files.resolve(path, true),
        image.name,
        ({ checksum }) => found.get(checksum)?.chunks ?? [],
      ),
  };
}

async function layersOf(
  image: ImageReader,
  log: Logger,
): Promise<readonly ReadLayer[] | undefined> {
  try {
    return (await readEncapsulated(image, log)).layers;
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
  role: 'commit' | 'chunk',
  file: ObjectSink['file'] = () => undefined,
): Promise<LayerContents> {
  return inContextAsync(`reading ${image.name}: layer ${descriptor.digest}`, async () => {
    const { visited } = await validateBlob(image.blob(descriptor), descriptor, (tar) =>
      readOstreeLayer(tar, role, { file }),
    );
    return visited;
  });
}

/** Content objects of the commit by those of `paths` that name one, and the directories above them. */
function findPaths(
  metadata: ReadonlyMap<string, Uint8Array>,
  paths: readonly TreePath[],
): { readonly objects: ReadonlyMap<TreePath, string>; readonly directories: Iterable<FileEntry> } {
  const object = (name: string) => {
    const bytes = metadata.get(name);
    if (bytes === undefined) {
      throw new OstrataError('CORRUPT', `object ${name} is not in the commit layer`);
    }
    return bytes;
  };
  const [commitName = ''] = metadata.keys();
  const { dirtree, dirmeta } = decodeCommit(object(commitName));
  const objects = new Map<TreePath, string>();
  const directories = new Map<TreePath, FileEntry>();
  for (const path of paths) {
    const names = path.split('/').slice(1);
    const last = names.pop();
    let at: { readonly dirtree: string; readonly dirmeta: string } | undefined = {
      dirtree,
      dirmeta,
    };
    const above: FileEntry[] = [
      {
        type: 'directory',
        path: '/',
        ...decodeDirmeta(object(encodeObjectName(dirmeta, 'dirmeta'))),
      },
    ];
    for (const [depth, name] of names.entries()) {
      at =
        at &&
        decodeDirtree(object(encodeObjectName(at.dirtree, 'dirtree'))).dirs.find(
          (each) => each.name === name,
        );
      if (at === undefined) {
        break;
      }
      const directory: TreePath = `/${names.slice(0, depth + 1).join('/')}`;
      above.push({
        type: 'directory',
        path: directory,
        ...decodeDirmeta(object(encodeObjectName(at.dirmeta, 'dirmeta'))),
      });
    }
    const file =
      at &&
      decodeDirtree(object(encodeObjectName(at.dirtree, 'dirtree'))).files.find(
        ({ name }) => name === last,
      );
    if (file === undefined) {
      continue;
    }
    objects.set(path, file.checksum);
    for (const directory of above) {
      directories.set(directory.path, directory);
    }
  }
  return { objects, directories: directories.values() };
}
