/** Runs in a worker thread: writes the objects of one layer at a time to a stage. See import.ts for the other end. */
import { parentPort } from 'node:worker_threads';
import { OstrataError, wrapError } from '../../errors.js';
import { readOstreeLayer } from '../../layers/read.js';
import { validateBlob } from '../../oci/validate.js';
import { METADATA_KINDS, parseObjectName } from '../../ostree/objects/object-name.js';
import { ObjectStage } from '../../ostree/write/stage.js';
import { readDerivedLayer } from './derived-layer.js';
import type { ImportReply, ImportRequest, LayerImport, StagedLayer } from './worker.js';

const reply = (message: ImportReply) => parentPort?.postMessage(message);

/** Parts of the blob that have arrived; what waits for the next. */
const arrived: (Uint8Array | undefined)[] = [];
let wake: () => void = () => {};

async function* blob(): AsyncGenerator<Uint8Array> {
  for (;;) {
    while (arrived.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const bytes = arrived.shift();
    if (bytes === undefined) {
      return;
    }
    yield bytes;
    reply({ type: 'taken', bytes: bytes.length });
  }
}

async function importLayer(layer: LayerImport): Promise<void> {
  const { descriptor, diffId } = layer;
  const stage = new ObjectStage(layer.target, layer.directory);
  try {
    const read = await validateBlob(blob(), descriptor, (tar) => readLayer(layer, tar, stage));
    if (read.diffId !== diffId) {
      throw new OstrataError('CORRUPT', `diff_id: stated ${diffId}, computed ${read.diffId}`);
    }
    reply({ type: 'staged', ...read.visited });
  } catch (error) {
    stage.abandon();
    const { code, message } = error instanceof OstrataError ? error : wrapError('importing', error);
    reply({ type: 'failed', code, message });
  }
}

async function readLayer(
  { kind: role, keepAll = false }: LayerImport,
  tar: AsyncIterable<Uint8Array>,
  stage: ObjectStage,
): Promise<StagedLayer> {
  if (role === 'derived') {
    const derived = await readDerivedLayer(tar, stage, keepAll);
    return { derived, metadata: new Map(), files: [], names: [...stage.names] };
  }
  const { metadata, files } = await readOstreeLayer(tar, role, stage);
  for (const [name, bytes] of metadata) {
    const { checksum, kind } = parseObjectName(name, METADATA_KINDS);
    stage.metadata(kind, checksum, bytes);
  }
  return { metadata, files: [...files], names: [...stage.names] };
}

parentPort?.on('message', (request: ImportRequest) => {
  if (request.type === 'layer') {
    void importLayer(request.layer);
  } else {
    arrived.push(request.type === 'data' ? request.bytes : undefined);
    wake();
  }
});
