// When work is repeated, and when its failure is final.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OstrataError } from '../../../src/errors.js';
import { silentLogger } from '../../../src/log.js';
import { RequestError } from '../../../src/transports/registry/request-error.js';
import { retry, retryStream } from '../../../src/transports/registry/retry.js';

const MIB = 1 << 20;
const policy = { retries: 2, log: silentLogger, signal: new AbortController().signal };
/** A temporary failure that asks for no wait. */
const temporary = new RequestError('busy', { isTemporary: true, retryAfterSeconds: 0 });

/** Returns a function that throws the given errors one by one and then returns `done`. */
function failing(...errors: readonly Error[]) {
  const left = [...errors];
  return async () => {
    const error = left.shift();
    if (error) {
      throw error;
    }
    return 'done';
  };
}

test('temporary failures are repeated as often as the policy allows', async () => {
  assert.equal(await retry(policy, failing(temporary, temporary)), 'done');
  await assert.rejects(retry(policy, failing(temporary, temporary, temporary)), temporary);
});

test('other failures are final', async () => {
  const lasting = new RequestError('forbidden', { isTemporary: false });
  const tooLong = new RequestError('busy', { isTemporary: true, retryAfterSeconds: 3600 });
  for (const error of [lasting, tooLong, new OstrataError('CORRUPT', 'damaged'), new Error('x')]) {
    await assert.rejects(retry(policy, failing(error)), error);
  }
});

test('a failure of the recovery is final', async () => {
  const error = new Error('cannot recover');
  const recovering = retry(policy, failing(temporary), async () => {
    throw error;
  });
  await assert.rejects(recovering, error);
});

test('enough progress resets the count of failures', async () => {
  let position = 0;
  const resumed = retry(policy, failing(...Array(10).fill(temporary)), async (counter) => {
    position += MIB;
    counter.reportProgress(position);
  });
  assert.equal(await resumed, 'done');
});

test('a stream is resumed at the byte that was reached', async () => {
  const starts: number[] = [];
  const stream = retryStream(policy, async function* (start) {
    starts.push(start);
    yield Buffer.from('abcdef').subarray(start, start + 2);
    if (start < 4) {
      throw temporary;
    }
  });
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
  }
  assert.equal(Buffer.concat(chunks).toString(), 'abcdef');
  assert.deepEqual(starts, [0, 2, 4]);
});

test('cancelling ends the wait', async () => {
  const cancel = new AbortController();
  const slow = new RequestError('busy', { isTemporary: true, retryAfterSeconds: 60 });
  const waiting = retry({ ...policy, signal: cancel.signal }, failing(slow));
  setImmediate(() => cancel.abort());
  await assert.rejects(waiting, { name: 'AbortError' });
});
