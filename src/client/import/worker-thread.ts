/** Runs in a worker thread: writes the objects of one layer at a time to a stage. See worker.ts. */
import { parentPort } from 'node:worker_threads';
import { OstrataError } from '../../errors.js';
import { readDerivedLayer } from '../../layers/derived.js';
import { readOstreeLayer } from '../../layers/read.js';
import type { LayerTar } from '../../oci/layer-tar.js';
import { validateBlob } from '../../oci/validate.js';
import { METADATA_KINDS, parseObjectName } from '../../ostree/objects/object-name.js';
import { ObjectStage } from '../../ostree/write/stage.js';
import { type FailedReply, failedReply, receiveRequests } from '../../system/worker-task.js';
import type { ImportReply, ImportRequest, LayerImport, StagedLayer } from './worker.js';

/** A blob whose parts arrive as messages. */
class ArrivingBlob {
  /** Parts that have arrived and are not yet read; undefined stands for the end. */
  readonly #parts: (Uint8Array | undefined)[] = [];
  #wake = () => {};

  push(part: Uint8Array | undefined): void {
    this.#parts.push(part);
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (this.#parts.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const part = this.#parts.shift();
      if (part === undefined) {
        return;
      }
      yield part;
      reply({ type: 'taken', bytes: part.length });
    }
  }
}

/** The blob of the current layer. */
let blob = new ArrivingBlob();

receiveRequests((request: ImportRequest) => {
  switch (request.type) {
    case 'layer':
      blob = new ArrivingBlob();
      void importLayer(request.layer);
      break;
    case 'data':
      blob.push(request.bytes);
      break;
    case 'end':
      blob.push(undefined);
      break;
  }
});

function reply(message: ImportReply | FailedReply): void {
  parentPort?.postMessage(message);
}

async function importLayer(layer: LayerImport): Promise<void> {
  const { descriptor, diffId } = layer;
  const stage = new ObjectStage(layer.target, layer.directory);
  try {
    const read = await validateBlob(blob, descriptor, (tar) => readLayer(layer, tar, stage));
    if (read.diffId !== diffId) {
      throw new OstrataError('CORRUPT', `diff_id: stated ${diffId}, computed ${read.diffId}`);
    }
    reply({ type: 'staged', staged: read.visited });
  } catch (error) {
    stage.abandon();
    reply(failedReply('importing', error));
  }
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
