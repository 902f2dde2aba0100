/** Makes the tar-diff of one layer. */

import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { readChunks, readRange } from '../system/file-chunks.js';
import type { NativeZstd } from '../system/native-zstd.js';
import { writeFully } from '../system/write-fully.js';
import { compressWithPrefix, MAX_PREFIX_SIZE } from '../tar-diff/patch-frame.js';
import { TarDiffWriter } from '../tar-diff/writer.js';
import type { Semaphore } from '../transports/semaphore.js';
import type { IndexedEntry, IndexedFile } from '../tree/layer-index.js';
import { pathComponents } from '../tree/layer-tar.js';
import type { Tree, TreePath } from '../tree/tree.js';
import { type EditThreads, MAX_EDITED_SIZE, type NewContent } from './edit-threads.js';
import { inOrder } from './in-order.js';
import type { DeltaLevel } from './levels.js';
import type { Match, OldFileIndex } from './match.js';

/** The tar of a new layer, uncompressed in a file. */
export interface NewLayer {
  readonly tar: string;
  readonly tarSize: number;
  readonly entries: readonly IndexedEntry[];
}

export interface LayerDiffOptions {
  readonly zstd: NativeZstd;
  readonly level: DeltaLevel;
  /** The old image. */
  readonly tree: Tree;
  readonly index: OldFileIndex;
  readonly threads: EditThreads;
  /** Most files that are compressed at the same time. */
  readonly jobs: Semaphore;
  /** Lets through one at a time of the files that take much memory. */
  readonly large: Semaphore;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of content, by how the delta gives them. */
export interface ContentSizes {
  /** Copied from the old image. */
  copied: number;
  /** Rebuilt from a file of the old image. */
  patched: number;
  /** In the delta, with the headers of the tar. */
  data: number;
}

export interface LayerDiff {
  readonly digest: string;
  readonly size: number;
  readonly content: ContentSizes;
}

/** The path of a file in the delta takes more than the content of a smaller one. */
const MIN_COPY_SIZE = 48;
/** A frame has a header and a path, and compresses less well than data among its like. */
const MIN_PATCH_SIZE = 256;
/** For the estimate of what a file takes as data. */
const ESTIMATE = { level: 3, windowLog: 23 };
/** For a comparison in which a rough estimate is nearly always enough. */
const QUICK_ESTIMATE = { level: 1, windowLog: 20 };
/**
 * If compression saves at most one in so many bytes of a file, the file is a compressed one. Hardly
 * anything in it is nearly like the old file. What is the same, such as a part that is not
 * compressed, a zstd frame finds in less time than the search for edits takes.
 */
const MIN_SIZE_PER_SAVED = 16;
/** Files that compress better than this are compared with their edits. */
const MIN_SPARSE_RATIO = 8;
/**
 * If at most one in so many bytes of a file is like nothing in the old one, edits are smaller than
 * a frame nearly always, so that none is tried. That saves most of the time.
 */
const MIN_SIZE_PER_ADDED = 16;
/**
 * Bytes of old and new files that are held in memory for one layer. A larger pair is held alone,
 * and one at a time for all layers.
 */
const MAX_HELD = 64 << 20;
/** Most parts that are prepared, or wait until they are written. */
const MAX_AHEAD = 64;

/** A part of the tar and how the delta gives it. */
interface Piece {
  readonly offset: number;
  readonly size: number;
  readonly match: Match | undefined;
}

interface ReadyPiece extends Piece {
  /** Set if the part is rebuilt from another file. */
  readonly patch?: Patch | undefined;
}

/** How a file is rebuilt from another: by operations on it, or by a frame that it precedes. */
interface Patch {
  readonly kind: 'edits' | 'frame';
  readonly bytes: Uint8Array;
}

/** Writes the tar-diff of a layer to the file at `path`. */
export async function writeLayerDiff(
  path: string,
  layer: NewLayer,
  options: LayerDiffOptions,
): Promise<LayerDiff> {
  const hash = createHash('sha256');
  let size = 0;
  const fd = openSync(path, 'wx', 0o644);
  const write = (bytes: Uint8Array) => {
    hash.update(bytes);
    size += bytes.length;
    writeFully(fd, bytes);
  };
  const { zstd, level } = options;
  const writer = new TarDiffWriter(zstd, { level: level.stream, write });
  try {
    const content = await writePieces(writer, layer, options);
    await writer.end();
    return { digest: `sha256:${hash.digest('hex')}`, size, content };
  } finally {
    writer.close();
    closeSync(fd);
  }
}

async function writePieces(
  writer: TarDiffWriter,
  layer: NewLayer,
  options: LayerDiffOptions,
): Promise<ContentSizes> {
  const { signal } = options;
  const content: ContentSizes = { copied: 0, patched: 0, data: 0 };
  const pieces = inOrder(
    piecesOf(layer, options.index),
    (piece) => preparePiece(piece, layer, options),
    { limit: MAX_AHEAD, maxWeight: MAX_HELD, weightOf: heldBytes },
  );
  for await (const piece of pieces) {
    signal?.throwIfAborted();
    await writePiece(writer, layer, piece, content);
    // Reading is synchronous; in between, signals are handled.
    await setImmediate();
  }
  return content;
}

function heldBytes({ size, match }: Piece): number {
  return match === undefined || match.isSame ? 0 : size + match.old.size;
}

/** Yields the whole tar, part by part. */
function* piecesOf({ entries, tarSize }: NewLayer, index: OldFileIndex): Generator<Piece> {
  const paths = pathsByName(entries);
  let at = 0;
  for (const entry of entries) {
    const match = matchOf(entry, paths, index);
    if (entry.type !== 'file' || match === undefined) {
      continue;
    }
    yield { offset: at, size: entry.offset - at, match: undefined };
    yield { offset: entry.offset, size: entry.size, match };
    at = entry.offset + entry.size;
  }
  yield { offset: at, size: tarSize - at, match: undefined };
}

/** Returns the paths of each file of a layer by the name of its entry. */
function pathsByName(entries: readonly IndexedEntry[]): ReadonlyMap<string, readonly TreePath[]> {
  const paths = new Map<string, TreePath[]>();
  for (const entry of entries) {
    if (entry.type === 'file') {
      paths.set(entry.name, [treePath(entry.name)]);
    }
    if (entry.type === 'link') {
      paths.get(entry.target)?.push(treePath(entry.name));
    }
  }
  return paths;
}

function treePath(name: string): TreePath {
  return `/${pathComponents(name).join('/')}`;
}

function matchOf(
  entry: IndexedEntry,
  paths: ReadonlyMap<string, readonly TreePath[]>,
  index: OldFileIndex,
): Match | undefined {
  // Of a sparse file, the tar has only parts.
  if (entry.type !== 'file' || entry.extents !== undefined || entry.size < MIN_COPY_SIZE) {
    return undefined;
  }
  const match = index.find({ ...entry, paths: paths.get(entry.name) ?? [] });
  return match !== undefined && (match.isSame || canPatch(entry, match)) ? match : undefined;
}

function canPatch({ size }: IndexedFile, { old }: Match): boolean {
  return size >= MIN_PATCH_SIZE && size <= MAX_PREFIX_SIZE && old.size <= MAX_PREFIX_SIZE;
}

/** Compresses a part that may be rebuilt from another file, and decides whether it is. */
async function preparePiece(
  piece: Piece,
  { tar }: NewLayer,
  options: LayerDiffOptions,
): Promise<ReadyPiece> {
  const { match } = piece;
  if (match === undefined || match.isSame) {
    return piece;
  }
  const patch = () => options.jobs.run(() => patchPiece(piece, match, tar, options));
  return heldBytes(piece) > MAX_HELD ? options.large.run(patch) : patch();
}

async function patchPiece(
  piece: Piece,
  match: Match,
  tar: string,
  options: LayerDiffOptions,
): Promise<ReadyPiece> {
  options.signal?.throwIfAborted();
  const patch = await smallestPatch({ ...piece, tar }, match, options);
  return patch === undefined ? { ...piece, match: undefined } : { ...piece, patch };
}

/** Returns undefined if the file takes less in the stream than rebuilt from another. */
async function smallestPatch(
  part: NewContent,
  { old }: Match,
  options: LayerDiffOptions,
): Promise<Patch | undefined> {
  const { zstd, level, tree, threads, signal } = options;
  const { offset, size, tar } = part;
  const content = readRange(tar, offset, size, MAX_PREFIX_SIZE);
  const { length: quick } = await zstd.compress(content, QUICK_ESTIMATE);
  const isCompressed = (size - quick) * MIN_SIZE_PER_SAVED <= size;
  const canEdit = !isCompressed && size <= MAX_EDITED_SIZE && old.size <= MAX_EDITED_SIZE;
  const effort = level.edits;
  const edits = canEdit ? await threads.edits(old, part, { effort, signal }) : undefined;
  if (edits !== undefined && edits.added * MIN_SIZE_PER_ADDED <= size) {
    const { operations } = edits;
    // A file of zeros takes less than what was in their place takes as differences.
    const isSparse = quick * MIN_SPARSE_RATIO <= size;
    if (!isSparse || (await zstd.compress(operations, QUICK_ESTIMATE)).length < quick) {
      return { kind: 'edits', bytes: operations };
    }
  }

  const prefix = await tree.bytes(old.path);
  const frame = await compressWithPrefix(zstd, content, prefix, level.frames);
  const alone = await zstd.compress(content, ESTIMATE);
  const patches: { readonly patch: Patch; readonly cost: number }[] = [
    { patch: { kind: 'frame', bytes: frame }, cost: frame.length },
  ];
  if (edits !== undefined) {
    const { operations } = edits;
    const estimate = await zstd.compress(operations, { ...ESTIMATE, level: level.stream });
    patches.push({ patch: { kind: 'edits', bytes: operations }, cost: estimate.length });
  }
  const [best] = patches.sort((a, b) => a.cost - b.cost);
  const isSmaller = best !== undefined && best.cost + old.path.length < alone.length;
  return isSmaller ? best.patch : undefined;
}

async function writePiece(
  writer: TarDiffWriter,
  { tar }: NewLayer,
  { offset, size, match, patch }: ReadyPiece,
  content: ContentSizes,
): Promise<void> {
  if (match === undefined) {
    await writer.data(size, readChunks(tar, { offset, length: size, followSymlink: true }));
    content.data += size;
    return;
  }
  const path = match.old.path.slice(1);
  if (patch === undefined) {
    await writer.copy(path, 0, size);
    content.copied += size;
    return;
  }
  if (patch.kind === 'edits') {
    await writer.edits(path, patch.bytes);
  } else {
    await writer.zstdDict(path, patch.bytes);
  }
  content.patched += size;
}
