/**
 * The form in which a layer spec is posted to a worker thread: in columns, for the reason that
 * file-info-columns.ts gives.
 */
import type { CommitLayerSpec, LayerDirectory, LayerSpec } from '../layers/spec.js';
import {
  attributeInterner,
  type FileInfoColumns,
  packFileInfos,
  unpackFileInfos,
} from '../ostree/objects/file-info-columns.js';
import type { TreePath } from '../tree/tree.js';

/** A chunk layer; an index refers to the same object in `checksums`, `paths` and `infos`. */
interface ChunkColumns {
  readonly kind: 'columns';
  readonly checksums: readonly string[];
  /** The paths of an object, joined by NUL. */
  readonly paths: readonly string[];
  readonly infos: FileInfoColumns;
  /** Directories with the same owner, mode and xattrs are one object. */
  readonly directories: ReadonlyMap<string, LayerDirectory>;
  readonly contentSize: number;
}

export function toColumns(spec: LayerSpec): CommitLayerSpec | ChunkColumns {
  if (spec.kind === 'commit') {
    return spec;
  }
  const { objects, directories, contentSize } = spec;
  const firstAlike = attributeInterner<LayerDirectory>();
  return {
    kind: 'columns',
    checksums: objects.map(({ checksum }) => checksum),
    paths: objects.map(({ paths }) => paths.join('\0')),
    infos: packFileInfos(objects.map(({ info }) => info)),
    directories: new Map(
      Array.from(directories, ([path, directory]) => [path, firstAlike(directory)]),
    ),
    contentSize,
  };
}

/** The inverse of {@link toColumns}. */
export function fromColumns(columns: CommitLayerSpec | ChunkColumns): LayerSpec {
  if (columns.kind === 'commit') {
    return columns;
  }
  const { checksums, paths, directories, contentSize } = columns;
  const objects = unpackFileInfos(columns.infos).map((info, i) => ({
    checksum: checksums[i] ?? '',
    paths: (paths[i] ?? '').split('\0') as TreePath[],
    info,
  }));
  return { kind: 'chunk', objects, directories, contentSize };
}
