/** A task of a worker thread ends in every case, and leaves no listener behind. */
import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { afterEach, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { OstrataError } from '../../src/errors.js';
import { failedReply, runWorkerTask } from '../../src/system/worker-task.js';

type Reply = { type: 'progress'; bytes: number } | { type: 'done'; result: string };

const EVENTS = ['message', 'messageerror', 'error', 'exit'] as const;
const workers: Worker[] = [];
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.terminate())));

/** A worker that runs `body` for each `request`; `port` is its side of the channel. */
function startWorker(body: string): Worker {
  const source = `const { parentPort: port } = require('node:worker_threads');
    port.on('message', async (request) => { ${body} });`;
  const worker = new Worker(source, { eval: true });
  workers.push(worker);
  return worker;
}

function run(worker: Worker, request: unknown, signal?: AbortSignal, log: number[] = []) {
  return runWorkerTask(worker, request, {
    name: 'testing',
    signal,
    onMessage: (reply: Reply) => {
      if (reply.type === 'progress') {
        log.push(reply.bytes);
      }
      return reply.type === 'done' ? reply.result : undefined;
    },
  });
}

function assertNoListeners(worker: Worker, signal?: AbortSignal): void {
  for (const event of EVENTS) {
    assert.equal(worker.listenerCount(event), 0, event);
  }
  assert.equal(signal === undefined ? 0 : getEventListeners(signal, 'abort').length, 0);
}

test('a task ends with the first result, after replies that give none', async () => {
  const worker = startWorker(`
    port.postMessage({ type: 'progress', bytes: 1 });
    port.postMessage({ type: 'progress', bytes: 2 });
    port.postMessage({ type: 'done', result: request + '!' });`);
  const { signal } = new AbortController();
  const progress: number[] = [];

  assert.equal(await run(worker, 'first', signal, progress), 'first!');
  assertNoListeners(worker, signal);
  assert.equal(await run(worker, 'second', signal, progress), 'second!');
  assert.deepEqual(progress, [1, 2, 1, 2]);
  assertNoListeners(worker, signal);
});

test('a reply of type failed ends the task with its code and message', async () => {
  const worker = startWorker('port.postMessage(request);');
  const reply = failedReply('reading x', new OstrataError('LIMIT', '5 bytes, at most 4'));

  await assert.rejects(run(worker, reply), { code: 'LIMIT', message: '5 bytes, at most 4' });
  assertNoListeners(worker);
});

test('the reply for an error of the operating system names the context', () => {
  const error = Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' });
  assert.deepEqual(failedReply('reading x', error), {
    type: 'failed',
    code: 'NOT_FOUND',
    message: 'reading x: ENOENT: no such file',
  });
});

test('an error that the worker throws ends the task', async () => {
  const worker = startWorker(`throw new Error('out of luck');`);
  await assert.rejects(run(worker, 'x'), { code: 'IO', message: 'testing: out of luck' });
  assertNoListeners(worker);
});

test('a reply that cannot be deserialized ends the task', async () => {
  const worker = startWorker('');
  const running = run(worker, 'x');
  // No value is known that every version of Node.js fails to deserialize.
  worker.emit('messageerror', new Error('unable to deserialize'));

  await assert.rejects(running, {
    code: 'IO',
    message: 'testing: reading a reply: unable to deserialize',
  });
  assertNoListeners(worker);
});

test('a worker that ends early ends the task', async () => {
  const worker = startWorker('process.exit(3);');
  await assert.rejects(run(worker, 'x'), {
    code: 'IO',
    message: 'testing: the worker thread ended with exit code 3',
  });
  assertNoListeners(worker);
});

test('a worker that has ended is given no task', async () => {
  const worker = startWorker('');
  worker.postMessage('x');
  const exit = once(worker, 'exit');
  await worker.terminate();
  await exit;

  await assert.rejects(run(worker, 'x'), {
    code: 'IO',
    message: 'testing: the worker thread has already ended',
  });
  assertNoListeners(worker);
});

test('the signal cancels a task', async () => {
  const worker = startWorker('');
  const controller = new AbortController();
  const running = run(worker, 'x', controller.signal);
  controller.abort();

  await assert.rejects(running, { code: 'CANCELLED', message: 'testing: cancelled' });
  assertNoListeners(worker, controller.signal);
});

test('a task with a signal that has fired is not begun', async () => {
  const worker = startWorker(`port.postMessage({ type: 'done', result: 'begun' });`);
  const signal = AbortSignal.abort();

  await assert.rejects(run(worker, 'x', signal), { code: 'CANCELLED' });
  assertNoListeners(worker, signal);
});

test('a request that cannot be serialized ends the task', async () => {
  const worker = startWorker('');
  await assert.rejects(
    run(worker, () => {}),
    {
      code: 'IO',
      message: /^testing: sending a request: .*could not be cloned/,
    },
  );
  assertNoListeners(worker);
});

test('an error that the receiver of replies throws ends the task', async () => {
  const worker = startWorker(`port.postMessage({ type: 'progress', bytes: 1 });`);
  const running = runWorkerTask(worker, 'x', {
    name: 'testing',
    onMessage: (_reply: Reply): string | undefined => {
      throw new OstrataError('CORRUPT', 'unexpected reply');
    },
  });

  await assert.rejects(running, { code: 'CORRUPT', message: 'unexpected reply' });
  assertNoListeners(worker);
});
