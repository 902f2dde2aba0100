/** The helper thread of file-infos.ts: reads the batches that it claims, replies once at the end. */
import { parentPort, workerData } from 'node:worker_threads';
import { openRepo } from '../ostree/repo.js';
import { receiveRequests } from '../system/worker-task.js';
import { type InfosBatch, type InfosReply, readUnlessClaimed } from './file-infos.js';

const repo = openRepo(workerData as string);
const positions: number[] = [];
const rows: number[] = [];
const targets: string[] = [];
/** Index of each distinct set of xattrs, by the array that all files with that set share. */
const xattrsIndexes = new Map<Uint8Array, number>();

function read(position: number, checksum: string): void {
  const { uid, gid, mode, size, target, xattrsBytes } = repo.fileInfo(checksum);
  let xattrsIndex = xattrsIndexes.get(xattrsBytes);
  if (xattrsIndex === undefined) {
    xattrsIndex = xattrsIndexes.size;
    xattrsIndexes.set(xattrsBytes, xattrsIndex);
  }
  positions.push(position);
  rows.push(uid, gid, mode, size, xattrsIndex);
  if (target !== undefined) {
    targets.push(target);
  }
}

receiveRequests((request: InfosBatch | 'end') => {
  if (request !== 'end') {
    readUnlessClaimed(request, read);
    return;
  }
  const xattrs = [...xattrsIndexes.keys()];
  parentPort?.postMessage({ positions, rows, targets, xattrs } satisfies InfosReply);
  parentPort?.close(); // the thread ends while the other puts the reply to use
});
