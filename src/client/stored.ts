/**
 * Images and layers in an ostree repository, by the refs and metadata keys of bootc's ostree-ext (`container/store.rs`), so
 * that rpm-ostree and bootc on the same repository see ours and we see theirs:
 *   ostree/container/image/IMGREF   the merge commit of a pulled image; its metadata holds manifest and config
 *   ostree/container/blob/DIGEST    what a layer was imported as: the ostree commit, an object set, or a derived tree
 * Names are escaped (refescape.ts).
 */
import { inContext, OstrataError } from '../errors.js';
import { canonicalJson } from '../oci/json.js';
import { type ImageConfig, type Manifest, parseConfig, parseManifest } from '../oci/types.js';
import { type Commit, type Metadata, metadataValue } from '../ostree/objects/commit.js';
import { encodeObjectName } from '../ostree/objects/object-name.js';
import { escapeForRef, unescapeRef } from '../ostree/ref-escape.js';
import { readRef } from '../ostree/refs.js';
import type { OstreeRepo } from '../ostree/repo.js';
import type { SignedCommit } from '../ostree/sign/verify.js';
import { listRefs } from '../ostree/write/refs.js';
import { hasObject } from '../ostree/write/stage.js';

const IMAGE_PREFIX = 'ostree/container/image';
const BLOB_PREFIX = 'ostree/container/blob';
/** Refs of deployments and of base images that others build on: what they name must stay. */
const KEEPING_PREFIXES = ['ostree/0', 'ostree/1', 'rpmostree/base', 'ostree/container/baseimage'];

const MANIFEST_DIGEST = 'ostree.manifest-digest';
const MANIFEST = 'ostree.manifest';
const CONFIG = 'ostree.container.image-config';

/** In the commit of a derived layer: the diff_id that it was verified to have. */
export const DIFF_ID_KEY = 'ostrata.diff-id';

export interface StoredImage {
  readonly mergeCommit: string;
  readonly commit: Commit;
  readonly manifestDigest: string;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** As they are stored: canonical JSON. */
  readonly manifestJson: string;
  readonly configJson: string;
}

/** @param imgref canonical, see {@link canonicalImgref} */
export function imageRef(imgref: string): string {
  return `${IMAGE_PREFIX}/${escapeForRef(imgref)}`;
}

/** @param digest `sha256:HEX` of the blob as it was fetched */
export function blobRef(digest: string): string {
  return `${BLOB_PREFIX}/${escapeForRef(digest)}`;
}

/** Metadata of the merge commit of an image, keys in ascending order. */
export function imageMetadata(
  manifestDigest: string,
  manifest: Uint8Array,
  config: Uint8Array,
): Metadata {
  const canonical = (json: Uint8Array) =>
    Buffer.from(canonicalJson(JSON.parse(Buffer.from(json).toString()))).toString();
  return new Map([
    [CONFIG, { type: 's', value: canonical(config) }],
    [MANIFEST, { type: 's', value: canonical(manifest) }],
    [MANIFEST_DIGEST, { type: 's', value: manifestDigest }],
  ]);
}

/** Canonical references of all images, sorted. */
export function listImages(repo: OstreeRepo): string[] {
  return listRefs(repo.path, IMAGE_PREFIX).map((ref) =>
    unescapeRef(ref.slice(IMAGE_PREFIX.length + 1)),
  );
}

/** Digests of all layers that a ref keeps. */
export function listBlobs(repo: OstreeRepo): string[] {
  return listRefs(repo.path, BLOB_PREFIX).map((ref) =>
    unescapeRef(ref.slice(BLOB_PREFIX.length + 1)),
  );
}

/**
 * The image that was pulled as `imgref` (canonical); undefined where none was. Its objects need not be there: `ostree fsck
 * --delete` takes away what is damaged, the merge commit too.
 */
export function storedImage(repo: OstreeRepo, imgref: string): StoredImage | undefined {
  const mergeCommit = readRef(repo, `heads/${imageRef(imgref)}`);
  return mergeCommit === undefined || !hasObject(repo.path, encodeObjectName(mergeCommit, 'commit'))
    ? undefined
    : inContext(`reading image ${imgref} of ${repo.path}`, () => imageOfCommit(repo, mergeCommit));
}

/** What a layer with that digest was imported as; undefined where it was not. */
export function storedBlob(repo: OstreeRepo, digest: string): string | undefined {
  return readRef(repo, `heads/${blobRef(digest)}`);
}

/** A commit of the repository with its signatures; it may be marked as partial. */
export function signedCommit(repo: OstreeRepo, checksum: string): SignedCommit {
  const { bytes } = repo.loadCommit(checksum, { partial: true });
  return { checksum, bytes, detached: repo.loadCommitMeta(checksum)?.bytes };
}

function imageOfCommit(repo: OstreeRepo, mergeCommit: string): StoredImage {
  const commit = repo.loadCommit(mergeCommit, { partial: true }).parsed;
  const text = (key: string) => {
    const value = metadataValue(commit.metadata, key, 's');
    if (value === undefined) {
      throw new OstrataError('CORRUPT', `merge commit ${mergeCommit} has no metadata ${key}`);
    }
    return value as string;
  };
  const [manifestDigest, manifestJson, configJson] = [
    text(MANIFEST_DIGEST),
    text(MANIFEST),
    text(CONFIG),
  ];
  return {
    mergeCommit,
    commit,
    manifestDigest,
    manifest: parseManifest(Buffer.from(manifestJson)),
    config: parseConfig(Buffer.from(configJson)),
    manifestJson,
    configJson,
  };
}

/** The images of all image refs and of all commits that deployments name. */
export function allImages(repo: OstreeRepo): StoredImage[] {
  const pulled = listImages(repo).map((imgref) => storedImage(repo, imgref));
  const kept = KEEPING_PREFIXES.flatMap((prefix) => listRefs(repo.path, prefix)).map((ref) => {
    const checksum = readRef(repo, `heads/${ref}`);
    if (checksum === undefined || !hasObject(repo.path, encodeObjectName(checksum, 'commit'))) {
      return undefined;
    }
    const { metadata } = repo.loadCommit(checksum, { partial: true }).parsed;
    return metadata.has(MANIFEST_DIGEST) ? imageOfCommit(repo, checksum) : undefined;
  });
  return [...pulled, ...kept].filter((image) => image !== undefined);
}

/** Layers of all images: one content, compressed by whomever, is one layer. */
export interface KnownLayers {
  /** Digest of a blob, by diff_id. */
  readonly digests: ReadonlyMap<string, string>;
  /** diff_id, by the digest of the blob. */
  readonly diffIds: ReadonlyMap<string, string>;
}

export function knownLayers(repo: OstreeRepo): KnownLayers {
  const digests = new Map<string, string>();
  const diffIds = new Map<string, string>();
  for (const { manifest, config } of allImages(repo)) {
    for (const [i, diffId] of config.rootfs.diff_ids.entries()) {
      const digest = manifest.layers[i]?.digest;
      if (digest === undefined) {
        continue;
      }
      if (!digests.has(diffId)) {
        digests.set(diffId, digest);
      }
      if (!diffIds.has(digest)) {
        diffIds.set(digest, diffId);
      }
    }
  }
  return { digests, diffIds };
}
