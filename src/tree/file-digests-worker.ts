/** A worker thread of file-digests.ts: reads one batch of entries at a time. */
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { matchesXattr } from '../bytes/xattrs.js';
import { inodeXattrs } from '../ostree/bare.js';
import { startFileChecksum } from '../ostree/objects/file.js';
import { CHECKSUM_BYTES } from '../ostree/objects/object-name.js';
import { encodeXattrs } from '../ostree/objects/xattr-list.js';
import { failedReply, receiveRequests } from '../system/worker-task.js';
import { openContent } from './content-location.js';
import { readUnchanged } from './directory.js';
import type { WalkedEntry } from './directory-walk.js';
import type {
  ContentReply,
  DigestReply,
  DigestRequest,
  DigestWorkerData,
  FileToHash,
  LabeledEntry,
} from './file-digests.js';
import { withLabel } from './labels.js';

const { content, ignoredXattrs, hasContentDigests }: DigestWorkerData = workerData;
/** The directory that the paths of entries begin in. */
const root = content.path;
const reader = openContent(content);
/** Each distinct set of xattrs once: a reply that holds it in many places copies it once. */
const knownXattrs = new Map<string, Uint8Array>();

function isIgnored(name: string): boolean {
  return matchesXattr(name, ignoredXattrs);
}

function xattrsOf(path: string, label: string | undefined): Uint8Array {
  const kept = [...inodeXattrs(path)].filter(([name]) => !isIgnored(name));
  const bytes = encodeXattrs(withLabel(new Map(kept), label));
  const key = Buffer.from(bytes).toString('latin1');
  const known = knownXattrs.get(key) ?? bytes;
  knownXattrs.set(key, known);
  return known;
}

function readEntries(batch: readonly LabeledEntry[]): DigestReply {
  const checksums = new Uint8Array(batch.length * CHECKSUM_BYTES);
  const digestCount = hasContentDigests ? batch.length : 0;
  const contentDigests = new Uint8Array(digestCount * CHECKSUM_BYTES);
  const xattrs: Uint8Array[] = [];
  for (const [i, entry] of batch.entries()) {
    const xattrsBytes = xattrsOf(root + entry.path, entry.label);
    xattrs.push(xattrsBytes);
    if (entry.type !== 'directory') {
      const { checksum, contentDigest } = digestsOf(entry, xattrsBytes);
      const offset = i * CHECKSUM_BYTES;
      checksums.set(checksum, offset);
      if (contentDigest !== undefined) {
        contentDigests.set(contentDigest, offset);
      }
    }
  }
  return { checksums, contentDigests, xattrs };
}

function digestsOf(entry: WalkedEntry, xattrsBytes: Uint8Array) {
  const { uid, gid, mode, size, target } = entry;
  const checksum = startFileChecksum({ uid, gid, mode, size, target, xattrsBytes });
  const contentDigest = hasContentDigests ? createHash('sha256') : undefined;
  if (entry.type === 'file') {
    for (const chunk of readUnchanged(root + entry.path, size)) {
      checksum.update(chunk);
      contentDigest?.update(chunk);
    }
  }
  return {
    checksum: checksum.digest(),
    contentDigest: contentDigest?.digest(),
  };
}

async function readFiles(files: readonly FileToHash[]): Promise<ContentReply> {
  const digests = new Uint8Array(files.length * CHECKSUM_BYTES);
  for (const [i, file] of files.entries()) {
    const hash = file.header ? startFileChecksum(file.header) : createHash('sha256');
    for await (const chunk of reader.read(file)) {
      hash.update(chunk);
    }
    digests.set(hash.digest(), i * CHECKSUM_BYTES);
  }
  return digests;
}

receiveRequests(async (request: DigestRequest) => {
  try {
    const reply =
      request.kind === 'entries' ? readEntries(request.entries) : await readFiles(request.files);
    parentPort?.postMessage(reply);
  } catch (error) {
    parentPort?.postMessage(failedReply('reading files', error));
  }
});
