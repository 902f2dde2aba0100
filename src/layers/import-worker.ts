/** Runs in a worker thread: writes the objects of one layer at a time to a stage. See import.ts for the other end. */
import { parentPort } from 'node:worker_threads';
import { OstrataError, wrapError } from '../errors.js';
import { validateBlob } from '../oci/validate.js';
import { ObjectStage } from '../ostree/stage.js';
import type { ImportReply, ImportRequest, LayerImport } from './import.js';
import { readOstreeLayer } from './read.js';

const reply = (message: ImportReply) => parentPort?.postMessage(message);

/** Parts of the blob that have arrived; what waits for the next. */
const arrived: (Uint8Array | undefined)[] = [];
let wake: () => void = () => {};

async function* blob(): AsyncGenerator<Uint8Array> {
  for (;;) {
    while (arrived.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    const bytes = arrived.shift();
    if (bytes === undefined) return;
    yield bytes;
    reply({ type: 'taken', bytes: bytes.length });
  }
}

async function importLayer({ descriptor, diffId, role, target, directory }: LayerImport): Promise<void> {
  const stage = new ObjectStage(target, directory);
  try {
    let staged: Omit<ImportReply & { type: 'staged' }, 'type' | 'names'> | undefined;
    const computed = await validateBlob(blob(), descriptor, async (tar) => {
      const { metadata, files } = await readOstreeLayer(tar, role, stage);
      staged = { metadata, files: [...files] };
    });
    if (computed !== diffId) throw new OstrataError('CORRUPT', `diff_id: stated ${diffId}, computed ${computed}`);
    const { metadata, files } = staged as NonNullable<typeof staged>;
    for (const [name, bytes] of metadata) {
      const [checksum, kind] = name.split('.') as [string, 'dirtree' | 'dirmeta'];
      stage.metadata(kind, checksum, bytes);
    }
    reply({ type: 'staged', metadata, files, names: [...stage.names] });
  } catch (error) {
    stage.abandon();
    const { code, message } = error instanceof OstrataError ? error : wrapError('importing', error);
    reply({ type: 'failed', code, message });
  }
}

parentPort?.on('message', (request: ImportRequest) => {
  if (request.type === 'layer') void importLayer(request.layer);
  else {
    arrived.push(request.type === 'data' ? request.bytes : undefined);
    wake();
  }
});
