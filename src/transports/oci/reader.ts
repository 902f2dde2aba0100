/**
 * Reads an image from an OCI image layout, which may be a directory or an archive:
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
 */
import type { ByteStream } from '../../bytes/stream.js';
import { inContext, OstrataError, wrapError } from '../../errors.js';
import { REF_NAME } from '../../oci/annotations.js';
import { blobPath, INDEX_FILE } from '../../oci/image-layout.js';
import { sha256Digest } from '../../oci/json.js';
import { INDEX_MEDIA_TYPES, MANIFEST_MEDIA_TYPES } from '../../oci/media-types.js';
import { choosePlatform, hostPlatform, type PlatformChoice } from '../../oci/platform.js';
import { referrerDescriptor } from '../../oci/referrer.js';
import {
  type Descriptor,
  type ImageIndex,
  parseAnyManifest,
  parseArtifact,
  parseIndex,
  parseManifest,
} from '../../oci/types.js';
import { type ChunkOptions, readChunks } from '../../system/file-chunks.js';
import type { ImageReader } from '../transport.js';

/** The files of a layout. They are named by their path in it, e.g. `blobs/sha256/HEX`. */
export interface LayoutFiles {
  /** The path of the layout, for messages. */
  readonly path: string;
  has(name: string): boolean;
  /** Returns all bytes of a small file, or undefined if it does not exist. */
  readAll(name: string): Uint8Array | undefined;
  /** Streams a file; throws `NOT_FOUND` if it does not exist. */
  stream(name: string): ByteStream;
  /** Returns the path of a file that can be hard-linked, or undefined if that is impossible. */
  linkablePath(name: string): string | undefined;
}

/** Which image of a layout is meant. */
export interface ImageChoice {
  /** A layout that contains exactly one image needs no tag. */
  readonly tag: string | undefined;
  /** By default, the platform of this machine. It matters only for a tag that names an index. */
  readonly platform: PlatformChoice | undefined;
  /** The image itself; it is one of an index of the layout. */
  readonly manifest?: Descriptor | undefined;
  /** See `TransportOptions`. */
  readonly artifactType?: string | undefined;
}

/**
 * Opens one image of a layout. Throws `NOT_FOUND` if none fits `choice`, `AMBIGUOUS` if several do,
 * and `CORRUPT` if its index, manifest or config is damaged.
 * @param name the image reference, for messages
 */
export function openLayout(files: LayoutFiles, name: string, choice: ImageChoice): ImageReader {
  return inContext(`reading ${name}`, () => {
    const entry = choice.manifest ?? findManifest(files, choice);
    const manifestBytes = readBlob(files, entry);
    const { artifactType } = choice;
    const manifest =
      artifactType === undefined
        ? parseManifest(manifestBytes)
        : parseArtifact(manifestBytes, artifactType);

    return {
      name,
      manifestDigest: entry.digest,
      manifestBytes,
      manifest,
      config: async () => inContext(`reading ${name}`, () => readBlob(files, manifest.config)),
      blob: ({ digest }) => files.stream(blobPath(digest)),
      blobFile: ({ digest }) => files.linkablePath(blobPath(digest)),
      referrers: async (type) =>
        inContext(`artifacts that refer to ${name}`, () =>
          findReferrers(files, entry.digest, type),
        ),
    };
  });
}

function findManifest(files: LayoutFiles, { tag, platform }: ImageChoice): Descriptor {
  const entry = findEntry(files, tag);
  const index = indexOf(files, entry);
  return index === undefined ? entry : choosePlatform(index, platform ?? hostPlatform());
}

/**
 * Returns the index that `tag` names; undefined if it names one image. Throws what {@link
 * openLayout} throws.
 * @param name the image reference, for messages
 */
export function readLayoutIndex(
  files: LayoutFiles,
  name: string,
  tag: string | undefined,
): ImageIndex | undefined {
  return inContext(`reading ${name}`, () => indexOf(files, findEntry(files, tag)));
}

/**
 * Returns the artifacts of a type that refer to the manifest `digest`. A layout may lack the
 * manifests of other images.
 */
function findReferrers(
  files: LayoutFiles,
  digest: string,
  artifactType: string,
): readonly Descriptor[] {
  const { manifests } = parseIndex(readRequired(files, INDEX_FILE));
  const candidates = manifests.filter((each) => MANIFEST_MEDIA_TYPES.includes(each.mediaType));
  const present = candidates.filter((each) => files.has(blobPath(each.digest)));
  // One that has a tag, too, is listed once.
  const unique = new Map(present.map((entry) => [entry.digest, entry]));
  return [...unique.values()].flatMap((entry) => {
    const bytes = readBlob(files, entry);
    const manifest = parseAnyManifest(bytes);
    const referrer = referrerDescriptor(manifest, bytes);
    const isWanted = referrer.artifactType === artifactType && manifest.subject?.digest === digest;
    return isWanted ? [referrer] : [];
  });
}

function indexOf(files: LayoutFiles, entry: Descriptor): ImageIndex | undefined {
  const isIndex = INDEX_MEDIA_TYPES.includes(entry.mediaType);
  return isIndex ? parseIndex(readBlob(files, entry)) : undefined;
}

function findEntry(files: LayoutFiles, tag: string | undefined): Descriptor {
  const { path } = files;
  const index = parseIndex(readRequired(files, INDEX_FILE));
  const tags = index.manifests.map(({ annotations }) => annotations?.[REF_NAME]);
  const knownTags = `tags: ${tags.filter(Boolean).join(', ') || 'none'}`;
  if (tag !== undefined) {
    const tagged = index.manifests[tags.indexOf(tag)];
    if (tagged === undefined) {
      throw new OstrataError('NOT_FOUND', `no image with tag ${tag} in ${path}; ${knownTags}`);
    }
    return tagged;
  }

  const [first, ...others] = index.manifests;
  if (first === undefined) {
    throw new OstrataError('NOT_FOUND', `no image in ${path}`);
  }
  if (others.length > 0) {
    const count = index.manifests.length;
    throw new OstrataError(
      'AMBIGUOUS',
      `${count} images in ${path}, name one of them; ${knownTags}`,
    );
  }
  return first;
}

function readRequired(files: LayoutFiles, name: string): Uint8Array {
  const bytes = files.readAll(name);
  if (bytes === undefined) {
    const kind = name === INDEX_FILE ? ', so it is not an OCI image layout' : '';
    throw new OstrataError('NOT_FOUND', `${files.path} lacks ${name}${kind}`);
  }
  return bytes;
}

/** Returns a small blob; throws `CORRUPT` unless it has the size and digest of its descriptor. */
function readBlob(files: LayoutFiles, { digest, size }: Descriptor): Uint8Array {
  const bytes = readRequired(files, blobPath(digest));
  if (bytes.length !== size) {
    throw new OstrataError('CORRUPT', `blob ${digest}: ${bytes.length} bytes instead of ${size}`);
  }
  const computed = sha256Digest(bytes);
  if (computed !== digest) {
    throw new OstrataError('CORRUPT', `blob ${digest}: has the digest ${computed}`);
  }
  return bytes;
}

/** Streams a range of the file at `path`; errors are OstrataErrors that name the file. */
export function* streamFile(path: string, options: ChunkOptions = {}): Generator<Uint8Array> {
  try {
    yield* readChunks(path, { ...options, followSymlink: true });
  } catch (error) {
    throw wrapError(`reading ${path}`, error);
  }
}
