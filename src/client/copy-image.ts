/**
 * Copies a pulled image from one repository to another: its merge commit, the commits of its
 * layers, and the refs of both.
 */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { inContextAsync, OstrataError } from '../errors.js';
import { encodeObjectName, objectPath, parseObjectName } from '../ostree/objects/object-name.js';
import { commitObjects } from '../ostree/objects/traverse.js';
import type { OstreeRepo } from '../ostree/repo.js';
import { contentExtension } from '../ostree/write/content-writer.js';
import { ObjectStage } from '../ostree/write/stage.js';
import type { RepoWriter } from '../ostree/write/writer.js';
import { blobRef, imageRef, requireImage, storedBlob } from './stored.js';

/** Objects that are copied before signals and other tasks of the event loop have their turn. */
const OBJECTS_PER_TURN = 100;

interface StoredLayer {
  readonly digest: string;
  /** What the layer was imported as. */
  readonly commit: string;
}

/**
 * Copies the image and returns its merge commit. Objects that the destination has are skipped.
 * Throws `NOT_FOUND` if `source` lacks the image or one of its layers.
 * @param imgref as {@link canonicalImgref} returns it
 * @param signal ends the copy with `CANCELLED`; no ref names what was copied by then
 */
export async function copyImage(
  source: OstreeRepo,
  writer: RepoWriter,
  imgref: string,
  signal?: AbortSignal,
): Promise<string> {
  const { mergeCommit, manifest } = requireImage(source, imgref);
  const layers = manifest.layers.map(({ digest }) => storedLayer(source, digest));

  const commits = new Set([...layers.map((layer) => layer.commit), mergeCommit]);
  for (const commit of commits) {
    await copyCommit(source, writer, commit, signal);
  }

  const blobRefs = layers.map(({ digest, commit }) => [blobRef(digest), commit] as const);
  writer.commit([], [...blobRefs, [imageRef(imgref), mergeCommit]]);
  return mergeCommit;
}

function storedLayer(source: OstreeRepo, digest: string): StoredLayer {
  const commit = storedBlob(source, digest);
  if (commit === undefined) {
    throw new OstrataError('NOT_FOUND', `layer ${digest} is not in ${source.path}`);
  }
  return { digest, commit };
}

/** Copies all objects of one commit, the commit object last: one that exists is complete. */
async function copyCommit(
  source: OstreeRepo,
  writer: RepoWriter,
  commit: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { parsed, bytes } = source.loadCommit(commit);
  const objects = commitObjects(parsed, (checksum) => source.loadDirtree(checksum).parsed);

  const directory = writer.createStage();
  const stage = new ObjectStage(writer.target, directory);
  try {
    for await (const checksum of inTurns(objects.files, signal)) {
      if (!linkContent(source, writer, checksum)) {
        await copyContent(source, stage, checksum);
      }
    }
    for await (const name of inTurns(objects.metadata, signal)) {
      const { checksum, kind } = parseObjectName(name, ['dirtree', 'dirmeta']);
      const object =
        kind === 'dirtree' ? source.loadDirtree(checksum) : source.loadDirmeta(checksum);
      stage.metadata(kind, checksum, object.bytes);
    }
    const detached = source.loadCommitMeta(commit);
    if (detached !== undefined) {
      stage.metadata('commitmeta', commit, detached.bytes);
    }

    writer.commit([{ directory, names: stage.names }]);
    writer.commit([writer.stageMetadata([{ kind: 'commit', checksum: commit, bytes }])]);
  } finally {
    stage.abandon();
  }
}

/** Yields the names of objects, and now and then lets the event loop run. */
async function* inTurns(
  names: Iterable<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  let count = 0;
  for (const name of names) {
    yield name;
    count += 1;
    if (count % OBJECTS_PER_TURN === 0) {
      await inContextAsync('copying the image', () => setImmediate(undefined, { signal }));
    }
  }
}

/** Shares the object's file by a hard link; returns false if modes or file systems differ. */
function linkContent(source: OstreeRepo, writer: RepoWriter, checksum: string): boolean {
  const name = encodeObjectName(checksum, contentExtension(writer.repo.mode));
  if (writer.has(name)) {
    return true;
  }
  if (source.mode !== writer.repo.mode) {
    return false;
  }
  const path = objectPath(checksum, contentExtension(source.mode));
  return writer.link(join(source.path, 'objects', path), name);
}

async function copyContent(
  source: OstreeRepo,
  stage: ObjectStage,
  checksum: string,
): Promise<void> {
  const info = source.fileInfo(checksum);
  const sink = stage.file(checksum, info);
  if (sink === undefined) {
    return;
  }
  if (info.type === 'file') {
    for await (const bytes of source.readFile(checksum, info)) {
      sink.write(bytes);
    }
  }
  sink.finish();
}
