/** Runs in a worker thread: reads content objects that nobody else does. See infos.ts for the other end. */
import { parentPort } from 'node:worker_threads';
import { openRepo } from '../ostree/repo.js';
import { type InfosReply, type InfosRequest, readUntaken } from './infos.js';

parentPort?.once('message', (request: InfosRequest) => {
  const repo = openRepo(request.repoPath);
  const sets = new Map<Uint8Array, number>();
  const at: number[] = [];
  const numbers: number[] = [];
  const targets: string[] = [];
  readUntaken(request, (index, checksum) => {
    const { uid, gid, mode, size, target, xattrsBytes } = repo.fileInfo(checksum);
    if (!sets.has(xattrsBytes)) sets.set(xattrsBytes, sets.size);
    at.push(index);
    numbers.push(uid, gid, mode, size, sets.get(xattrsBytes) as number);
    if (target !== undefined) targets.push(target);
  });
  parentPort?.postMessage({ at, numbers, targets, xattrs: [...sets.keys()] } satisfies InfosReply);
});
