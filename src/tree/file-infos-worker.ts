/** Runs in a worker thread: reads content objects that nobody else does. See infos.ts for the other end. */
import { parentPort, workerData } from 'node:worker_threads';
import { openRepo } from '../ostree/repo.js';
import { type InfosBatch, type InfosReply, readUntaken } from './file-infos.js';

const repo = openRepo(workerData as string);
const sets = new Map<Uint8Array, number>();
const at: number[] = [];
const numbers: number[] = [];
const targets: string[] = [];

parentPort?.on('message', (message: InfosBatch | 'end') => {
  if (message === 'end') {
    parentPort?.postMessage({
      at,
      numbers,
      targets,
      xattrs: [...sets.keys()],
    } satisfies InfosReply);
    return parentPort?.close(); // the thread ends while what it read is put to use
  }
  readUntaken(message, (index, checksum) => {
    const { uid, gid, mode, size, target, xattrsBytes } = repo.fileInfo(checksum);
    if (!sets.has(xattrsBytes)) {
      sets.set(xattrsBytes, sets.size);
    }
    at.push(index);
    numbers.push(uid, gid, mode, size, sets.get(xattrsBytes) as number);
    if (target !== undefined) {
      targets.push(target);
    }
  });
});
