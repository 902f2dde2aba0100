/** Runs V8's garbage collector, so that tests can see what is still referenced. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Collects everything that nothing refers to. */
export async function collectGarbage(): Promise<void> {
  // A weak reference keeps its target until the current task has ended.
  await setImmediate();
  collect();
}
