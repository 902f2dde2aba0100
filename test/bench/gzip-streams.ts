// node gzip-streams.js FOLDER STREAMS LEVEL: the least that Node needs to compress the files of
// FOLDER. Each of STREAMS threads runs one gzip stream over its share of the files and does nothing
// else. Prints the number of compressed bytes.
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createGzip } from 'node:zlib';

const CHUNK_SIZE = 1 << 20;

interface Share {
  readonly files: string[];
  readonly level: number;
  bytes: number;
}

if (isMainThread) {
  const [folder = '.', streams = '1', level = '6'] = process.argv.slice(2);
  const shares: Share[] = Array.from({ length: Number(streams) }, () => ({
    files: [],
    level: Number(level),
    bytes: 0,
  }));
  const files = readdirSync(folder).map((name) => ({
    path: join(folder, name),
    size: statSync(join(folder, name)).size,
  }));
  for (const { path, size } of files.sort((a, b) => b.size - a.size)) {
    const least = shares.reduce((a, b) => (b.bytes < a.bytes ? b : a));
    least.files.push(path);
    least.bytes += size;
  }
  const run = (share: Share) =>
    new Promise<number>((resolve, reject) => {
      new Worker(new URL(import.meta.url), { workerData: share })
        .on('message', resolve)
        .on('error', reject);
    });
  const sizes = await Promise.all(shares.map(run));
  console.log(sizes.reduce((sum, size) => sum + size, 0));
} else {
  const { files, level } = workerData as Share;
  async function* content(): AsyncGenerator<Buffer> {
    for (const file of files) {
      yield* createReadStream(file, { highWaterMark: CHUNK_SIZE });
    }
  }
  let length = 0;
  await pipeline(
    Readable.from(content()),
    createGzip({ level, chunkSize: CHUNK_SIZE }),
    async (gzip) => {
      for await (const chunk of gzip) {
        length += (chunk as Buffer).length;
      }
    },
  );
  parentPort?.postMessage(length);
}
