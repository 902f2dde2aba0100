/** Runs in a worker thread: writes the objects of one layer at a time to a stage. See worker.ts. */
import type { ByteStream } from '../../bytes/stream.js';
import { TreeFiles } from '../../delta/old-files.js';
import { OstrataError } from '../../errors.js';
import { readDerivedLayer } from '../../layers/derived.js';
import { readOstreeLayer } from '../../layers/read.js';
import type { LayerTar } from '../../oci/layer-tar.js';
import { validateBlob } from '../../oci/validate.js';
import { METADATA_KINDS, parseObjectName } from '../../ostree/objects/object-name.js';
import { openRepo } from '../../ostree/repo.js';
import { ObjectStage } from '../../ostree/write/stage.js';
import { receiveStreams } from '../../system/stream-worker.js';
import { tarDiffDecompressor } from '../../tar-diff/apply.js';
import { lookupCommit } from '../../tree/commit-lookup.js';
import type { LayerImport, StagedLayer } from './worker.js';

receiveStreams('importing', importLayer);

async function importLayer(layer: LayerImport, blob: ByteStream): Promise<StagedLayer> {
  const { descriptor, diffId } = layer;
  const stage = new ObjectStage(layer.target, layer.directory);
  const files = oldFilesOf(layer);
  const decompressor = files === undefined ? undefined : [tarDiffDecompressor(files)];
  try {
    const visit = (tar: LayerTar) => readLayer(layer, tar, stage);
    const read = await validateBlob(blob, descriptor, visit, decompressor);
    if (read.diffId !== diffId) {
      throw new OstrataError('CORRUPT', `diff_id: stated ${diffId}, computed ${read.diffId}`);
    }
    return read.visited;
  } catch (error) {
    stage.abandon();
    throw error;
  } finally {
    files?.close();
  }
}

/** The files that a tar-diff needs, which the repository has. */
function oldFilesOf({ oldCommit, target, directory }: LayerImport): TreeFiles | undefined {
  return oldCommit === undefined
    ? undefined
    : new TreeFiles(lookupCommit(openRepo(target.path), oldCommit), directory);
}

async function readLayer(
  { kind }: LayerImport,
  tar: LayerTar,
  stage: ObjectStage,
): Promise<StagedLayer> {
  if (kind === 'derived') {
    const derived = await readDerivedLayer(tar, stage);
    return { derived, metadata: new Map(), files: [], names: [...stage.names] };
  }
  const { metadata, files } = await readOstreeLayer(tar, kind, stage);
  for (const [name, bytes] of metadata) {
    const object = parseObjectName(name, METADATA_KINDS);
    stage.metadata(object.kind, object.checksum, bytes);
  }
  return { metadata, files: [...files], names: [...stage.names] };
}
