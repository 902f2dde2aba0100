/** Gives memory back earlier than V8 would by itself. */
import { MessageChannel } from 'node:worker_threads';

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
