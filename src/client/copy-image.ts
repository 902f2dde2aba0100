/** A pulled image from one repository into another: its merge commit, its layers' commits, their refs. */
import { join } from 'node:path';
import { OstrataError } from '../errors.js';
import { encodeObjectName, objectPath, parseObjectName } from '../ostree/objects/object-name.js';
import { commitObjects } from '../ostree/objects/traverse.js';
import type { OstreeRepo } from '../ostree/repo.js';
import { contentExtension } from '../ostree/write/content-writer.js';
import { ObjectStage } from '../ostree/write/stage.js';
import type { RepoWriter } from '../ostree/write/writer.js';
import { blobRef, imageRef, storedBlob, storedImage } from './stored.js';

/** Returns the merge commit. @param imgref canonical; `NOT_FOUND` where `source` does not have it */
export async function copyImage(
  source: OstreeRepo,
  writer: RepoWriter,
  imgref: string,
): Promise<string> {
  const image = storedImage(source, imgref);
  if (image === undefined) {
    throw new OstrataError('NOT_FOUND', `no image ${imgref} in ${source.path}`);
  }
  const layers = image.manifest.layers.map(({ digest }) => {
    const commit = storedBlob(source, digest);
    if (commit === undefined) {
      throw new OstrataError('NOT_FOUND', `layer ${digest} is not in ${source.path}`);
    }
    return { digest, commit };
  });
  for (const commit of new Set([...layers.map((layer) => layer.commit), image.mergeCommit])) {
    await copyCommit(source, writer, commit);
  }
  const refs = layers.map(({ digest, commit }) => [blobRef(digest), commit] as const);
  writer.commit([], [...refs, [imageRef(imgref), image.mergeCommit]]);
  return image.mergeCommit;
}

/** All objects of one commit; what the destination has is skipped, content is linked where that gives the same object. */
async function copyCommit(source: OstreeRepo, writer: RepoWriter, commit: string): Promise<void> {
  const { parsed, bytes } = source.loadCommit(commit);
  const { metadata, files } = commitObjects(
    parsed,
    (checksum) => source.loadDirtree(checksum).parsed,
  );
  const directory = writer.createStage();
  const stage = new ObjectStage(writer.target, directory);
  try {
    for (const checksum of files) {
      if (!linkContent(source, writer, checksum)) {
        await copyContent(source, stage, checksum);
      }
    }
    for (const name of metadata) {
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
    // Last: a commit that is there is whole.
    writer.commit([writer.stageMetadata([{ kind: 'commit', checksum: commit, bytes }])]);
  } finally {
    stage.abandon();
  }
}

function linkContent(source: OstreeRepo, writer: RepoWriter, checksum: string): boolean {
  const name = encodeObjectName(checksum, contentExtension(writer.repo.mode));
  if (writer.has(name)) {
    return true;
  }
  if (source.mode !== writer.repo.mode) {
    return false;
  }
  return writer.link(
    join(source.path, 'objects', objectPath(checksum, contentExtension(source.mode))),
    name,
  );
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
