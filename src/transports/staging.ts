/** Private folders for blobs on their way. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Still there; removed at the latest when the process ends. */
const folders = new Set<string>();

export interface StagingFolder {
  readonly path: string;
  /** Safe to call any number of times. */
  remove(): Promise<void>;
}

/** Layers may be larger than what fits where only memory is: as for other container tools, below /var/tmp. */
export async function makeStagingFolder(): Promise<StagingFolder> {
  const parent = process.env.TMPDIR || (process.platform === 'win32' ? tmpdir() : '/var/tmp');
  const path = await mkdtemp(join(parent, 'ostrata-'));
  if (folders.size === 0) {
    process.once('exit', removeAll);
  }
  folders.add(path);
  return {
    path,
    remove: async () => {
      await rm(path, { recursive: true, force: true });
      folders.delete(path);
      if (folders.size === 0) {
        process.off('exit', removeAll);
      }
    },
  };
}

function removeAll(): void {
  for (const path of folders) {
    rmSync(path, { recursive: true, force: true });
  }
}
