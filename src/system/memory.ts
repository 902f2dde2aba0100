/** Takes less memory, and gives it back earlier, than V8 would by itself. */
import { setFlagsFromString } from 'node:v8';
import { getEnvironmentData, MessageChannel, setEnvironmentData } from 'node:worker_threads';
import { loadKoffi } from './native-addons.js';

const { port1: closedPort } = new MessageChannel();
closedPort.close();

/**
 * Frees the memory of `bytes`, which nothing else may use, and leaves them empty. Small buffers,
 * which share the memory of Node's pool, are left alone.
 */
export function release({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) {
    // What is transferred to a closed port is destroyed.
    closedPort.postMessage(undefined, [buffer]);
  }
}

/**
 * Frees all objects that nothing refers to, and then the empty young generation. It takes a few
 * milliseconds for each MB in use. Does nothing in a Node that was built without its inspector.
 */
export async function collectGarbage(): Promise<void> {
  if (!process.features.inspector) {
    return;
  }
  const { Session } = await import('node:inspector');
  const session = new Session();
  session.connect();
  // The function `gc`, which V8 has for tests, would not shrink the young generation.
  await new Promise<void>((resolve) =>
    session.post('HeapProfiler.collectGarbage', () => resolve()),
  );
  session.disconnect();
}

/** `M_TRIM_THRESHOLD` of mallopt(3). */
const TRIM_THRESHOLD = -1;
/** What glibc begins with, in bytes. */
const USUAL_THRESHOLD = 128 << 10;

/**
 * Makes glibc give freed memory back to the system. By itself it keeps up to 64 MB for each thread
 * once large blocks were freed. Does nothing with another C library, or without koffi.
 */
export function returnFreedMemory(): void {
  try {
    const mallopt = loadKoffi().load(null).func('int mallopt(int parameter, int value)');
    mallopt(TRIM_THRESHOLD, USUAL_THRESHOLD);
  } catch {
    // The program only takes more memory.
  }
}

const KEPT_KEY = 'ostrata: keepYoungGeneration';

/**
 * Keeps the memory for young objects of each thread as large as it is. V8 would let that of one
 * thread grow to 34 MB, and from Node 24 on to 134 MB, which saves no time.
 */
export function keepYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setEnvironmentData(KEPT_KEY, true);
}

/**
 * In a worker thread: does what {@link keepYoungGeneration} does if the program has called that.
 * Before Node 24, V8 forgets it for all threads when one starts.
 */
export function keepYoungGenerationInWorker(): void {
  if (getEnvironmentData(KEPT_KEY) === true) {
    keepYoungGeneration();
  }
}
