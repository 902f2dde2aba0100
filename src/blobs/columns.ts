/**
 * A chunk layer's spec as it is told to a thread. The copy that is made of it takes several times as long for an object of
 * each file as for columns, in which what is the same for many files is one object.
 */

import type { CommitLayerSpec, LayerDirectory, LayerSpec } from '../layers/spec.js';
import type { FileInfo } from '../ostree/objects/file.js';
import type { TreePath } from '../tree/tree.js';

export interface ChunkColumns {
  readonly kind: 'columns';
  readonly checksums: readonly string[];
  /** Of each object, with a NUL between them. */
  readonly paths: readonly string[];
  readonly sizes: readonly number[];
  /** All else of each object but a target. */
  readonly infos: readonly FileInfo[];
  /** Of the symlinks. */
  readonly targets: readonly string[];
  readonly directories: ReadonlyMap<string, LayerDirectory>;
  readonly contentSize: number;
}

export function toColumns(spec: LayerSpec): CommitLayerSpec | ChunkColumns {
  if (spec.kind === 'commit') {
    return spec;
  }
  const { objects, directories, contentSize } = spec;
  const info = distinct<FileInfo>();
  const directory = distinct<LayerDirectory>();
  return {
    kind: 'columns',
    checksums: objects.map(({ checksum }) => checksum),
    paths: objects.map(({ paths }) => paths.join('\0')),
    sizes: objects.map(({ info: { size } }) => size),
    infos: objects.map((object) => info(object.info)),
    targets: objects.flatMap(({ info: { target } }) => target ?? []),
    directories: new Map(Array.from(directories, ([path, each]) => [path, directory(each)])),
    contentSize,
  };
}

export function fromColumns(columns: CommitLayerSpec | ChunkColumns): LayerSpec {
  if (columns.kind === 'commit') {
    return columns;
  }
  const { checksums, paths, sizes, infos, directories, contentSize } = columns;
  const targets = columns.targets.values();
  const objects = checksums.map((checksum, i) => {
    const info = { ...(infos[i] as FileInfo), size: sizes[i] as number };
    return {
      checksum,
      paths: (paths[i] as string).split('\0') as TreePath[],
      info: info.type === 'file' ? info : { ...info, target: targets.next().value as string },
    };
  });
  return { kind: 'chunk', objects, directories, contentSize };
}

/** Gives the first of all values with the same owner, mode and xattrs (which are one object where they are the same). */
function distinct<T extends LayerDirectory>(): (value: T) => T {
  const known = new Map<unknown, Map<string, T>>();
  return (value) => {
    const { uid, gid, mode, xattrs } = value;
    const key = `${uid} ${gid} ${mode}`;
    const alike = known.get(xattrs) ?? new Map<string, T>();
    known.set(xattrs, alike);
    const first = alike.get(key) ?? value;
    alike.set(key, first);
    return first;
  };
}
