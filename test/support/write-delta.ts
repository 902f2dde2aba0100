/** Deltas that are made by hand: their tar-diffs may be any bytes. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { collect } from '../../src/bytes/stream.js';
import { encodeDelta, readDocuments, TAR_DIFF } from '../../src/delta/artifact.js';
import { must } from '../../src/errors.js';
import { EMPTY_OBJECT } from '../../src/oci/empty-config.js';
import type { ImageReader } from '../../src/oci/image.js';
import { sha256Digest } from '../../src/oci/json.js';
import { OCI_MANIFEST } from '../../src/oci/media-types.js';
import type { Descriptor } from '../../src/oci/types.js';
import { encodeCopy, encodeData, encodeOpen } from '../../src/tar-diff/operations.js';
import { createImage } from '../../src/transports/image-reference.js';
import { type ForgedEntry, writeTar } from './forge-image.js';
import { scratchDirectory } from './scratch.js';
import { tarDiff } from './tar-diff.js';

/** Writes a delta to `imgref`. The tar-diffs are those of layers of the target, by index. */
export async function writeDelta(
  imgref: string,
  source: ImageReader,
  target: ImageReader,
  tarDiffs: ReadonlyMap<number, Uint8Array>,
): Promise<void> {
  const writer = await createImage(imgref);
  const put = async (bytes: Uint8Array, mediaType: string): Promise<Descriptor> => {
    const descriptor = { mediaType, digest: sha256Digest(bytes), size: bytes.length };
    const file = join(writer.stagingDirectory, descriptor.digest);
    writeFileSync(file, bytes);
    await writer.addBlob(file, descriptor);
    return descriptor;
  };
  const sourceDocuments = await readDocuments(source);
  const documents = await readDocuments(target);
  await put(documents.manifestBytes, OCI_MANIFEST);
  await put(documents.configBytes, documents.manifest.config.mediaType);
  const blobs = new Map<string, Descriptor>();
  for (const [index, bytes] of tarDiffs) {
    const { digest } = must(documents.manifest.layers[index], `layer ${index}`);
    blobs.set(digest, await put(bytes, TAR_DIFF));
  }
  const manifest = encodeDelta(sourceDocuments, documents, blobs, []);
  await writer.commit({ config: EMPTY_OBJECT, manifest, platform: undefined });
}

/** Writes a delta that holds all of the tars of the target's layers, and returns its reference. */
export async function writeWholeDelta(source: ImageReader, target: ImageReader): Promise<string> {
  const imgref = `oci:${join(scratchDirectory(), 'delta')}`;
  const tarDiffs = new Map<number, Uint8Array>();
  for (const [index, layer] of target.manifest.layers.entries()) {
    const blob = await collect(target.blob(layer), layer.size);
    tarDiffs.set(index, tarDiff(1, [data(gunzipSync(blob))]));
  }
  await writeDelta(imgref, source, target, tarDiffs);
  return imgref;
}

/** Returns operations that emit these bytes. */
export function data(bytes: Uint8Array): Buffer {
  return Buffer.concat([encodeData(bytes.length), bytes]);
}

/** Returns a tar-diff of a layer that takes the files at `copied` from the old image. */
export function diffOf(entries: readonly ForgedEntry[], copied: readonly string[]): Buffer {
  const tar = Buffer.from(writeTar(entries));
  const operations: Uint8Array[] = [];
  let at = 0;
  for (const { name, content = Buffer.alloc(0) } of entries) {
    const start = copied.includes(name) ? tar.indexOf(content, at) : -1;
    if (start >= 0) {
      operations.push(data(tar.subarray(at, start)), encodeOpen(name), encodeCopy(content.length));
      at = start + content.length;
    }
  }
  return tarDiff(1, [...operations, data(tar.subarray(at))]);
}
