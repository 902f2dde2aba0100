/** Runs V8's garbage collector, so that tests can see what is still referenced. */
import { setImmediate } from 'node:timers/promises';
import { collectGarbage as collect } from '../../src/system/memory.js';

/** Collects everything that nothing refers to. */
export async function collectGarbage(): Promise<void> {
  // A weak reference keeps its target until the current task has ended.
  await setImmediate();
  await collect();
}
