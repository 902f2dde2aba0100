/** Makes directories with their parents, as `mkdir -p` does. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../errors.js';

/**
 * Makes a directory and its missing parents. Node's own recursive mkdir never returns for a path in
 * /proc, where a directory cannot be made although its parent exists.
 * @param onMade is called for each new directory, the outermost first
 */
export function makeDirectories(
  path: string,
  mode: number,
  onMade: (path: string) => void = () => {},
): void {
  const makeOne = () => {
    if (makeDirectory(path, mode)) {
      onMade(path);
    }
  };
  try {
    makeOne();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') {
      throw error;
    }
    makeDirectories(dirname(path), mode, onMade);
    makeOne();
  }
}

/** Returns false if there is such a directory already. */
function makeDirectory(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isDirectory()) {
      return false;
    }
    throw error;
  }
}
