/** Private temporary directories, removed at the latest when the process ends. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryDirectory {
  readonly path: string;
  /** Removes the directory and everything in it. May be called any number of times. */
  remove(): Promise<void>;
}

/** Programs that have just ended may leave helpers behind (gpg-agent) that still remove files. */
const REMOVE_OPTIONS = { recursive: true, force: true, maxRetries: 3 } as const;

/** Directories that still exist: an exiting process removes them, since nobody else would. */
const existing = new Set<string>();

function removeExisting(): void {
  for (const path of existing) {
    rmSync(path, REMOVE_OPTIONS);
  }
}

/**
 * Makes an empty directory that only this user can access.
 * @param prefix begins the directory's name
 * @param parent by default the system's directory for temporary files
 */
export async function makeTemporaryDirectory(
  prefix: string,
  parent = tmpdir(),
): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(parent, prefix));
  if (existing.size === 0) {
    process.once('exit', removeExisting);
  }
  existing.add(path);

  return {
    path,
    remove: async () => {
      await rm(path, REMOVE_OPTIONS);
      existing.delete(path);
      if (existing.size === 0) {
        process.off('exit', removeExisting);
      }
    },
  };
}

/** Runs `body` with the path of a new temporary directory, which is removed when `body` ends. */
export async function withTemporaryDirectory<T>(
  prefix: string,
  body: (path: string) => Promise<T>,
): Promise<T> {
  const directory = await makeTemporaryDirectory(prefix);
  try {
    return await body(directory.path);
  } finally {
    await directory.remove();
  }
}

/**
 * Returns the parent for temporary files as large as a layer. On many systems /tmp is in memory, so
 * that other container tools use /var/tmp as well; the variable TMPDIR has precedence.
 */
export function largeFilesParent(): string {
  const { TMPDIR } = process.env;
  if (TMPDIR) {
    return TMPDIR;
  }
  return process.platform === 'win32' ? tmpdir() : '/var/tmp';
}
