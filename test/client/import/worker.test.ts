/** The import of a layer in a worker thread ends in every case, and its blob is read no further. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { ByteStream } from '../../../src/bytes/stream.js';
import { type LayerImport, startImportWorker } from '../../../src/client/import/worker.js';
import { OstrataError } from '../../../src/errors.js';
import { openRepo } from '../../../src/ostree/repo.js';
import { RepoBuilder } from '../../support/build-repo.js';
import { scratchDirectory } from '../../support/scratch.js';

const { path } = new RepoBuilder('archive', '', scratchDirectory());
const digest = `sha256:${'0'.repeat(64)}`;
const layer: LayerImport = {
  descriptor: { digest, size: 1000, mediaType: 'application/vnd.oci.image.layer.v1.tar' },
  diffId: digest,
  kind: 'chunk',
  target: { path, config: openRepo(path).config },
  directory: scratchDirectory(),
};
const neverAborted = new AbortController().signal;

const workers: Worker[] = [];
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.terminate())));

/** A worker that runs `body` for each `request`; `port` is its side of the channel. */
function startWorker(body: string): Worker {
  const source = `const { parentPort: port } = require('node:worker_threads');
    port.on('message', (request) => { ${body} });`;
  const worker = new Worker(source, { eval: true });
  workers.push(worker);
  return worker;
}

/** A blob that sends some bytes and then stalls. */
async function* stalledBlob(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('some bytes');
  await new Promise(() => {});
}

function importWith(
  worker: Worker | undefined,
  blob: ByteStream = stalledBlob(),
  signal = neverAborted,
) {
  return startImportWorker(worker).run(layer, blob, { signal, onProgress: () => {} });
}

test('a layer that the worker refuses ends the import while its blob stalls', async () => {
  async function* tooLarge() {
    yield Buffer.alloc(2000);
    yield* stalledBlob();
  }
  await assert.rejects(importWith(undefined, tooLarge()), {
    code: 'LIMIT',
    message: 'has more than the 1000 bytes that are stated',
  });
});

test('a blob that fails ends the import and the thread', async () => {
  const worker = startWorker('');
  async function* failing() {
    yield Buffer.from('some bytes');
    throw new OstrataError('IO', 'connection reset');
  }
  await assert.rejects(importWith(worker, failing()), {
    code: 'IO',
    message: 'fetching: connection reset',
  });
  assert.equal(worker.threadId, -1);
});

test('an error that the worker throws ends the import', async () => {
  const worker = startWorker(`throw new Error('out of luck');`);
  await assert.rejects(importWith(worker), {
    code: 'IO',
    message: 'importing layers: out of luck',
  });
});

test('a worker that ends early ends the import', async () => {
  await assert.rejects(importWith(startWorker('process.exit(3);')), {
    code: 'IO',
    message: 'importing layers: the worker thread ended with exit code 3',
  });
});

test('a reply that cannot be deserialized ends the import', async () => {
  const worker = startWorker('');
  const importing = importWith(worker);
  worker.emit('messageerror', new Error('unable to deserialize'));
  await assert.rejects(importing, {
    code: 'IO',
    message: 'importing layers: reading a reply: unable to deserialize',
  });
});

test('the signal ends the import while its blob stalls', async () => {
  const controller = new AbortController();
  const importing = importWith(startWorker(''), stalledBlob(), controller.signal);
  controller.abort();
  await assert.rejects(importing, {
    code: 'CANCELLED',
    message: 'importing layers: cancelled',
  });
});

test('a blob is read no faster than the worker takes it, and is closed after a failure', async () => {
  const worker = startWorker('');
  let readMebibytes = 0;
  const closed = new AbortController();
  async function* endless() {
    try {
      for (;;) {
        readMebibytes++;
        yield Buffer.alloc(1 << 20);
      }
    } finally {
      closed.abort();
    }
  }

  const importing = importWith(worker, endless());
  await setTimeout(50);
  assert.equal(readMebibytes, 5, 'as soon as more than 4 MiB are on their way, nothing is read');
  worker.emit('message', { type: 'failed', code: 'CORRUPT', message: 'refused' });
  await assert.rejects(importing, { code: 'CORRUPT', message: 'refused' });
  assert.equal(closed.signal.aborted, true, 'the blob was closed');
});
