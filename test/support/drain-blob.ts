// node drain-blob.js MEDIA_TYPE < BLOB
// Decompresses a layer blob as a client does, reads the tar in it, and prints as JSON how many
// bytes its files have, the error if there was one, and how much memory the process had at most.
import { readFileSync } from 'node:fs';
import { sha256Digest } from '../../src/oci/json.js';
import { validateBlob } from '../../src/oci/validate.js';
import { readLayerTar } from '../../src/tree/layer-tar.js';

const STDIN = 0;

const [mediaType = ''] = process.argv.slice(2);
const blob = readFileSync(STDIN);
const descriptor = { mediaType, digest: sha256Digest(blob), size: blob.length };
let content = 0;
let error: string | undefined;
try {
  await validateBlob([blob], descriptor, (tar) =>
    readLayerTar(tar, () => ({
      write(bytes) {
        content += bytes.length;
      },
      finish() {},
    })),
  );
} catch (thrown) {
  error = String(thrown);
}
// Unlike resourceUsage().maxRSS, it does not begin with the memory of the parent process.
const [, maxMemory] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
console.log(JSON.stringify({ content, error, maxMemory: Number(maxMemory) * 1024 }));
