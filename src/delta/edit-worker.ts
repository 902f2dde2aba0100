/** A thread of edit-threads.ts: compares two files at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { collect } from '../bytes/stream.js';
import { readRange } from '../system/file-chunks.js';
import { failedReply, receiveRequests } from '../system/worker-task.js';
import { type Edits, encodeEdits } from '../tar-diff/edits.js';
import { openContent } from '../tree/content-location.js';
import { type EditRequest, type EditWorkerData, MAX_EDITED_SIZE } from './edit-threads.js';

const location: EditWorkerData = workerData;
const reader = openContent(location);

async function compare({ old, content, effort }: EditRequest): Promise<Edits> {
  const oldBytes = await collect(reader.read(old), old.info.size);
  const newBytes = readRange(content.tar, content.offset, content.size, MAX_EDITED_SIZE);
  return encodeEdits(oldBytes, newBytes, effort);
}

receiveRequests(async (request: EditRequest) => {
  try {
    const edits = await compare(request);
    parentPort?.postMessage(edits, [edits.operations.buffer]); // moved, not copied
  } catch (error) {
    parentPort?.postMessage(failedReply('comparing files', error));
  }
});
