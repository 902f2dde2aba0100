/**
 * The form in which a layer spec is posted to a worker thread: in columns, for the reason that
 * file-info-columns.ts gives.
 */
import { must } from '../errors.js';
import type { LayerSpec } from '../layers/layer-spec.js';
import type { PlainDirectory, PlainLayerSpec } from '../layers/plain-spec.js';
import type {
  ChunkLayerSpec,
  CommitLayerSpec,
  FormatVersion,
  LayerDirectory,
} from '../layers/spec.js';
import {
  attributeInterner,
  type FileInfoColumns,
  packFileInfos,
  unpackFileInfos,
} from '../ostree/objects/file-info-columns.js';
import { encodeObjectName } from '../ostree/objects/object-name.js';
import type { LoadBytes } from '../tree/commit.js';
import type { TreePath } from '../tree/tree.js';

/** Objects of a layer; an index refers to the same object in all members. */
interface ObjectColumns {
  readonly checksums: readonly string[];
  /** The paths of an object, joined by NUL. */
  readonly paths: readonly string[];
  readonly infos: FileInfoColumns;
  readonly contentSize: number;
}

interface ChunkColumns extends ObjectColumns {
  readonly kind: 'chunk-columns';
  readonly formatVersion: FormatVersion;
  /** Directories with the same owner, mode and xattrs are one object. */
  readonly directories: ReadonlyMap<string, LayerDirectory>;
}

interface PlainColumns extends ObjectColumns {
  readonly kind: 'plain-columns';
  readonly mtimes: readonly number[];
  readonly directories: ReadonlyMap<string, PlainDirectory>;
  readonly whiteouts: readonly TreePath[];
}

/** Functions cannot be posted: the objects that one would load are posted themselves. */
interface CommitColumns extends Omit<CommitLayerSpec, 'kind' | 'loadBytes'> {
  readonly kind: 'commit-columns';
  /** The objects of the directories, by {@link encodeObjectName}. */
  readonly objects: ReadonlyMap<string, Uint8Array>;
}

/** A layer spec as it is posted. */
export type LayerColumns = CommitColumns | ChunkColumns | PlainColumns;

export function toColumns(spec: LayerSpec): LayerColumns {
  switch (spec.kind) {
    case 'commit':
      return commitColumns(spec);
    case 'chunk':
      return chunkColumns(spec);
    case 'plain':
      return plainColumns(spec);
  }
}

function commitColumns({ kind, loadBytes, ...others }: CommitLayerSpec): CommitColumns {
  const objects = new Map<string, Uint8Array>();
  const load = (checksum: string, objectKind: 'dirtree' | 'dirmeta') => {
    const name = encodeObjectName(checksum, objectKind);
    if (!objects.has(name)) {
      objects.set(name, loadBytes(checksum, objectKind));
    }
  };
  for (const { dirtree, dirmeta } of others.directories) {
    load(dirtree, 'dirtree');
    load(dirmeta, 'dirmeta');
  }
  return { ...others, kind: 'commit-columns', objects };
}

function chunkColumns(spec: ChunkLayerSpec): ChunkColumns {
  const firstAlike = attributeInterner<LayerDirectory>();
  const directories = Array.from(
    spec.directories,
    ([path, directory]) => [path, firstAlike(directory)] as const,
  );
  const { formatVersion } = spec;
  return {
    ...objectColumns(spec),
    kind: 'chunk-columns',
    formatVersion,
    directories: new Map(directories),
  };
}

function plainColumns(spec: PlainLayerSpec): PlainColumns {
  const { objects, directories, whiteouts } = spec;
  const mtimes = objects.map(({ mtime }) => mtime);
  return { ...objectColumns(spec), kind: 'plain-columns', mtimes, directories, whiteouts };
}

function objectColumns({ objects, contentSize }: ChunkLayerSpec | PlainLayerSpec): ObjectColumns {
  return {
    checksums: objects.map(({ checksum }) => checksum),
    paths: objects.map(({ paths }) => paths.join('\0')),
    infos: packFileInfos(objects.map(({ info }) => info)),
    contentSize,
  };
}

/** The inverse of {@link toColumns}. */
export function fromColumns(columns: LayerColumns): LayerSpec {
  if (columns.kind === 'commit-columns') {
    const { objects, ...others } = columns;
    const loadBytes: LoadBytes = (checksum, kind) => {
      const name = encodeObjectName(checksum, kind);
      return must(objects.get(name), name);
    };
    return { ...others, kind: 'commit', loadBytes };
  }
  const { checksums, paths, contentSize } = columns;
  const infos = unpackFileInfos(columns.infos);
  const objects = infos.map((info, i) => ({
    checksum: must(checksums[i], 'checksum'),
    paths: must(paths[i], 'paths').split('\0') as [TreePath, ...TreePath[]],
    info,
  }));
  if (columns.kind === 'chunk-columns') {
    const { formatVersion, directories } = columns;
    return { kind: 'chunk', objects, formatVersion, directories, contentSize };
  }

  const { mtimes, directories, whiteouts } = columns;
  const plainObjects = objects.map((object, i) => ({ ...object, mtime: must(mtimes[i], 'mtime') }));
  return { kind: 'plain', objects: plainObjects, directories, whiteouts, contentSize };
}
