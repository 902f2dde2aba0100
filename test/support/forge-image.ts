/**
 * Forges images that lie about their contents: takes the layers of an image apart, changes entries,
 * and puts them together again with matching digests, as an attacker would.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ImageReader } from '../../src/oci/image.js';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { validateBlob } from '../../src/oci/validate.js';
import { startFileChecksum } from '../../src/ostree/objects/file.js';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import type { TarHeader } from '../../src/tar/entry.js';
import {
  END_OF_ARCHIVE,
  encodeTarHeader,
  type TarEntryType,
  tarPadding,
} from '../../src/tar/header.js';
import { TarReader } from '../../src/tar/reader.js';
import { scratchDirectory } from './scratch.js';

export interface ForgedEntry extends Partial<Omit<TarHeader, 'type' | 'size'>> {
  readonly name: string;
  readonly type: TarHeader['type'];
  readonly content?: Uint8Array;
  /** The size that the header names; by default the length of the content. */
  readonly size?: number;
}

/** Where layers have their objects. */
export const OBJECTS = 'sysroot/ostree/repo/objects/';

/** The path in a layer of an object, or of its xattrs. */
export const objectName = (checksum: string, kind: string): string =>
  `${OBJECTS}${objectPath(checksum, kind)}`;

/** The entries of a content object that is in no tree: its xattrs, then its content. */
export function extraObject(content: Buffer): [xattrs: ForgedEntry, file: ForgedEntry] {
  const xattrsBytes = new Uint8Array();
  const header = { uid: 0, gid: 0, mode: 0o100644, size: content.length, xattrsBytes };
  const checksum = startFileChecksum(header).update(content).digest('hex');
  return [
    { name: objectName(checksum, 'file-xattrs-link'), type: 'file' },
    { name: objectName(checksum, 'file'), type: 'file', content },
  ];
}

/** Reads the entries of each layer of an image. */
export async function readLayers(image: ImageReader): Promise<ForgedEntry[][]> {
  const layers: ForgedEntry[][] = [];
  for (const descriptor of image.manifest.layers) {
    await validateBlob(image.blob(descriptor), descriptor, async (tar) => {
      layers.push(await readEntries(tar));
    });
  }
  return layers;
}

/** Changes the entries of each layer in place. */
export type LayerChange = (layers: ForgedEntry[][]) => void;

export interface ForgedImage {
  readonly imgref: string;
  readonly directory: string;
}

/**
 * Writes a changed copy of `image` into a new OCI image layout.
 *
 * @param labels changes to the config's labels; `ostree.final-diffid` follows the last layer unless
 * given
 * @param derived layers to put on top, which do not belong to the commit; entries or a whole tar
 * @param changeDiffIds changes the diff_ids in the config
 */
export async function forge(
  image: ImageReader,
  change: LayerChange,
  labels: Readonly<Record<string, string>> = {},
  derived: readonly (readonly ForgedEntry[] | Uint8Array)[] = [],
  changeDiffIds: (diffIds: string[]) => void = () => {},
): Promise<ForgedImage> {
  const layers = await readLayers(image);
  change(layers);
  const base = layers.map(writeTar);
  const tars = [
    ...base,
    ...derived.map((layer) => (layer instanceof Uint8Array ? layer : writeTar(layer))),
  ];
  const config = JSON.parse(Buffer.from(await image.config()).toString());
  config.rootfs.diff_ids = tars.map(sha256Digest);
  changeDiffIds(config.rootfs.diff_ids);
  delete config.history;
  const final = sha256Digest(base.at(-1) as Uint8Array);
  config.config.Labels = { ...config.config.Labels, 'ostree.final-diffid': final, ...labels };
  return writeLayout(canonicalJson(config), tars);
}

/**
 * Writes a plain image, which holds no ostree commit, into a new OCI image layout.
 * @param more replaces members of the config
 * @param level of the gzip compression
 */
export function forgePlain(
  layers: readonly (readonly ForgedEntry[])[],
  more: Readonly<Record<string, unknown>> = {},
  level = 1,
): ForgedImage {
  const tars = layers.map(writeTar);
  const config = {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: tars.map(sha256Digest) },
    ...more,
  };
  return writeLayout(canonicalJson(config), tars, level);
}

/** Writes an image of a config and uncompressed layers into a new OCI image layout. */
export function writeLayout(
  config: Uint8Array,
  tars: readonly Uint8Array[],
  level = 1,
): ForgedImage {
  const directory = join(scratchDirectory(), 'forged');
  mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
  const put = (bytes: Uint8Array, mediaType: string) => {
    const digest = sha256Digest(bytes);
    writeFileSync(join(directory, 'blobs', digest.replace(':', '/')), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const oci = 'application/vnd.oci.image';
  const manifest = canonicalJson({
    schemaVersion: 2,
    mediaType: `${oci}.manifest.v1+json`,
    config: put(config, `${oci}.config.v1+json`),
    layers: tars.map((tar) => put(gzipSync(tar, { level }), `${oci}.layer.v1.tar+gzip`)),
  });
  const entry = put(manifest, `${oci}.manifest.v1+json`);
  const annotations = { 'org.opencontainers.image.ref.name': 'x' };
  writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(directory, 'index.json'),
    canonicalJson({ schemaVersion: 2, manifests: [{ ...entry, annotations }] }),
  );
  return { imgref: `oci:${directory}:x`, directory };
}

/** Rewrites the manifest of the only image in a layout; the index follows. */
export function changeManifest<T = { layers: unknown[] }>(
  image: ForgedImage,
  change: (manifest: T) => void,
): void {
  rewriteManifest(image, (bytes) => {
    const manifest = JSON.parse(Buffer.from(bytes).toString());
    change(manifest);
    return canonicalJson(manifest);
  });
}

/** Replaces the bytes of the manifest of the only image in a layout; the index follows. */
export function rewriteManifest(
  { directory }: ForgedImage,
  rewrite: (manifest: Uint8Array) => Uint8Array,
): void {
  const indexPath = join(directory, 'index.json');
  const index = JSON.parse(readFileSync(indexPath, 'utf8'));
  const [entry] = index.manifests;
  const pathOf = (digest: string) => join(directory, 'blobs', digest.replace(':', '/'));
  const bytes = rewrite(readFileSync(pathOf(entry.digest)));
  entry.digest = sha256Digest(bytes);
  entry.size = bytes.length;
  entry.mediaType = mediaTypeOf(bytes) ?? entry.mediaType;
  writeFileSync(pathOf(entry.digest), bytes);
  writeFileSync(indexPath, canonicalJson(index));
}

/** The media type that a manifest states; undefined if it is no JSON. */
function mediaTypeOf(manifest: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(manifest).toString()).mediaType;
  } catch {
    return undefined;
  }
}

/** Reads the entries of a tar archive. */
export async function readEntries(
  tar: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<ForgedEntry[]> {
  const entries: ForgedEntry[] = [];
  let header: TarHeader;
  let content: Uint8Array[] = [];
  const reader = new TarReader({
    entry: (next) => {
      header = next;
      content = [];
    },
    content: (bytes) => void content.push(Uint8Array.from(bytes)),
    entryEnd: () =>
      void entries.push({
        ...header,
        name: header.name.replace(/\/$/, ''),
        content: Buffer.concat(content),
      }),
  });
  for await (const bytes of tar) {
    reader.push(bytes);
  }
  reader.end();
  return entries;
}

const OTHER_FLAGS: Readonly<Record<string, string>> = {
  'character device': '3',
  'block device': '4',
  fifo: '6',
};

/** Writes an uncompressed layer; entries may be of any type and claim any size. */
export function writeTar(entries: readonly ForgedEntry[]): Uint8Array {
  const parts = entries.flatMap((entry) => {
    const {
      name,
      type,
      mode = 0o644,
      uid = 0,
      gid = 0,
      mtime,
      linkname,
      xattrs,
      content = new Uint8Array(),
    } = entry;
    const size = entry.size ?? content.length;
    const flag = OTHER_FLAGS[type];
    const header = Buffer.from(
      encodeTarHeader({
        ...{ name, mode, uid, gid, mtime, size: type === 'file' ? size : 0 },
        type: (flag === undefined ? type : 'file') as TarEntryType,
        ...(linkname && { linkname }),
        ...(xattrs && { xattrs }),
      }),
    );
    if (flag !== undefined) {
      setFlag(header, flag);
    }
    return [header, content, tarPadding(content.length)];
  });
  return Buffer.concat([...parts, END_OF_ARCHIVE]);
}

/** Sets the type flag in the last block of a header and mends the checksum of that block. */
function setFlag(header: Buffer, flag: string): void {
  const block = header.subarray(-512);
  block.write(flag, 156, 'latin1');
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}
