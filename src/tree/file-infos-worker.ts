/** The helper thread of file-infos.ts: reads the batches that it claims and replies at the end. */
import { parentPort, workerData } from 'node:worker_threads';
import type { FileInfo } from '../ostree/objects/file.js';
import { packFileInfos } from '../ostree/objects/file-info-columns.js';
import { openRepo } from '../ostree/repo.js';
import { receiveRequests } from '../system/worker-task.js';
import { type InfosBatch, type InfosReply, readUnlessClaimed } from './file-infos.js';

const path: string = workerData;
const repo = openRepo(path);
const positions: number[] = [];
const infos: FileInfo[] = [];

function read(position: number, checksum: string): void {
  positions.push(position);
  infos.push(repo.fileInfo(checksum));
}

receiveRequests((request: InfosBatch | 'end') => {
  if (request !== 'end') {
    readUnlessClaimed(request, read);
    return;
  }
  const reply: InfosReply = { positions, infos: packFileInfos(infos) };
  parentPort?.postMessage(reply);
  parentPort?.close(); // so that the thread ends while the main thread uses the reply
});
