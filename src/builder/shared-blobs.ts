/**
 * Takes the blobs of layers from a shared cache, whose entries anyone may have written.
 *
 * An entry that a secret authenticates is taken as it is; if the registry can mount the blob, the
 * build does not even read it. For any other entry, worker threads read the files of the layer and
 * compute the digest of the tar that they would write, which costs a small part of compressing it.
 * An entry of that tar is downloaded, and its blob must hold the tar.
 */
import type { BlobCache } from '../blobs/cache.js';
import type { FoundEntry, SharedCache } from '../blobs/shared-cache.js';
import type { BlobResult } from '../blobs/writer.js';
import { must } from '../errors.js';
import { type Logger, startWork, type Work } from '../log.js';
import { Background } from './background.js';
import { type BlobCollector, nameOf, type StagedBlob } from './blob-collector.js';
import { type StagedTask, type WriteOptions, writeStaged } from './write-staged.js';

/** Requests, or downloads, at the same time. */
const MAX_REQUESTS = 6;
/** What a compressed blob may have more than its tar: a part of it, and a number of bytes. */
const MAX_GROWTH = 0.02;
const MIN_GROWTH = 64 << 10;

const CHECK: StagedTask = {
  what: 'checking shared layers',
  compression: { name: 'none', level: 1 },
  isKept: false,
};

interface SharedBlobOptions extends WriteOptions {
  readonly cache?: BlobCache | undefined;
  readonly sharedCache?: SharedCache | undefined;
}

/** Takes the blobs that the shared cache has. Returns the layers that are still to be written. */
export async function takeShared(
  layers: readonly StagedBlob[],
  collector: BlobCollector,
  options: SharedBlobOptions,
): Promise<readonly StagedBlob[]> {
  const { sharedCache, log } = options;
  if (sharedCache === undefined || layers.length === 0) {
    return layers;
  }
  const entries = await findEntries(layers, sharedCache, log);
  const entryOf = (staged: StagedBlob) => must(entries.get(staged), staged.wanted.key);
  const found = layers.filter((staged) => entries.has(staged));
  const doubtful = found.filter((staged) => !entryOf(staged).isAuthentic);
  log.info(`${found.length} layers are in the shared cache, ${doubtful.length} are to be checked`);

  const taken = new Set<StagedBlob>();
  const downloads = new Background(MAX_REQUESTS);
  const work = startWork(log, 'downloading shared layers');
  const start = (staged: StagedBlob) => {
    const entry = entryOf(staged);
    work.expect(entry.blob.size);
    downloads.start(async () => {
      if (await take(staged, entry, collector, work, { ...options, sharedCache })) {
        taken.add(staged);
      }
    });
  };

  await downloads.finish(async () => {
    for (const staged of found.filter((each) => entryOf(each).isAuthentic)) {
      start(staged);
    }
    if (doubtful.length > 0) {
      await writeStaged(doubtful, CHECK, options, async (staged, tar) => {
        const fault = faultOf(entryOf(staged).blob, tar);
        if (fault === undefined) {
          start(staged);
        } else {
          sharedCache.refuse(entryOf(staged), fault);
        }
      });
    }
    work.settleTotal();
  });
  work.end();
  return layers.filter((staged) => !taken.has(staged));
}

/** Takes the blob of an entry. Returns false, after a warning, if it cannot be had. */
async function take(
  staged: StagedBlob,
  entry: FoundEntry,
  collector: BlobCollector,
  work: Work,
  { sharedCache, cache }: SharedBlobOptions & { readonly sharedCache: SharedCache },
): Promise<boolean> {
  const { blob, image, isAuthentic, origin } = entry;
  if (isAuthentic && (await collector.adopt(staged, blob, origin, image))) {
    work.expect(-blob.size);
    return true;
  }
  const part = work.startPart(blob.digest, nameOf(staged.layer), blob.size);
  if (!(await sharedCache.download(entry, staged.path, part))) {
    part.abandon();
    return false;
  }
  part.end();
  cache?.add(staged.wanted.key, staged.path, blob);
  await collector.take(staged, blob, origin, image);
  return true;
}

async function findEntries(
  layers: readonly StagedBlob[],
  cache: SharedCache,
  log: Logger,
): Promise<ReadonlyMap<StagedBlob, FoundEntry>> {
  const entries = new Map<StagedBlob, FoundEntry>();
  const lookups = new Background(MAX_REQUESTS);
  const work = startWork(log, 'looking for shared layers', layers.length, 'layers');
  await lookups.finish(async () => {
    for (const staged of layers) {
      lookups.start(async () => {
        const entry = await cache.find(staged.wanted);
        if (entry !== undefined) {
          entries.set(staged, entry);
        }
        work.advance(1);
      });
    }
  });
  work.end();
  return entries;
}

/** Returns why an entry is not that of a layer with this tar; undefined if it can be. */
function faultOf(stated: BlobResult, tar: BlobResult): string | undefined {
  if (stated.diffId !== tar.diffId) {
    return `it is for the tar ${stated.diffId}, but the layer is ${tar.diffId}`;
  }
  if (stated.tarSize !== tar.tarSize) {
    return `it states a tar of ${stated.tarSize} bytes, but the layer has ${tar.tarSize}`;
  }
  // Another size would fill the disk before the digest is known to be wrong.
  const limit = tar.tarSize * (1 + MAX_GROWTH) + MIN_GROWTH;
  return stated.size > limit
    ? `its blob has ${stated.size} bytes, for a tar of ${tar.tarSize}`
    : undefined;
}
