/** Runs a registry on this machine for a row of the bench. */
import { startRegistry } from '../support/docker-registry.js';

/** Runs `body` with a registry on this machine that keeps its data below `folder`. */
export async function atRegistry<T>(folder: string, body: (host: string) => T): Promise<T> {
  const registry = await startRegistry(folder);
  try {
    return body(registry.host);
  } finally {
    await registry.stop();
  }
}
