/** A sender is held back until the receiver has taken enough, and never for ever. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { CreditWindow } from '../../src/system/credit-window.js';

/** Whether `promise` is resolved after all pending callbacks have run. */
async function isResolved(promise: Promise<void>): Promise<boolean> {
  let resolved = false;
  void promise.then(() => {
    resolved = true;
  });
  await setImmediate();
  return resolved;
}

test('a sender does not wait while at most the limit is on its way', async () => {
  const window = new CreditWindow(10);
  assert.equal(await isResolved(window.send(10)), true);
});

test('a sender waits until enough was taken', async () => {
  const window = new CreditWindow(10);
  const sending = window.send(15);
  assert.equal(await isResolved(sending), false);
  window.taken(4);
  assert.equal(await isResolved(sending), false);
  window.taken(1);
  assert.equal(await isResolved(sending), true);
});

test('closing the window ends the wait, and later sends do not wait', async () => {
  const window = new CreditWindow(10);
  const sending = window.send(15);
  window.close();
  assert.equal(await isResolved(sending), true);
  assert.equal(await isResolved(window.send(100)), true);
  assert.equal(window.isClosed, true);
});
