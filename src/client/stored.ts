/**
 * Images and layers in an ostree repository. Refs and metadata keys are those of bootc's ostree-ext
 * (`container/store.rs`), so rpm-ostree, bootc and ostrata find what the others pulled:
 *
 *   ostree/container/image/IMGREF   the merge commit of a pulled image, whose metadata holds the
 *                                   image's manifest and config
 *   ostree/container/blob/DIGEST    what a layer was imported as: for the commit layer the ostree
 *                                   commit, for a chunk layer a commit that names its content
 *                                   objects, for a derived layer a commit of its tree
 *
 * IMGREF and DIGEST are escaped (see ref-escape.ts).
 */
import { decodeJson } from '../bytes/json.js';
import { didYouMean } from '../bytes/nearest.js';
import { inContext, OstrataError } from '../errors.js';
import { canonicalJson } from '../oci/json.js';
import { type ImageConfig, type Manifest, parseConfig, parseManifest } from '../oci/types.js';
import { type Commit, type Metadata, metadataValue } from '../ostree/objects/commit.js';
import { encodeObjectName } from '../ostree/objects/object-name.js';
import { escapeForRef, unescapeRef } from '../ostree/ref-escape.js';
import { listRefs, readRef } from '../ostree/refs.js';
import type { OstreeRepo } from '../ostree/repo.js';
import type { SignedCommit } from '../ostree/sign/verify.js';
import { hasObject } from '../ostree/write/stage.js';

const IMAGE_PREFIX = 'ostree/container/image';
const BLOB_PREFIX = 'ostree/container/blob';
/** Refs of deployments and of base images that others build on: their images are needed. */
const NEEDED_PREFIXES = ['ostree/0', 'ostree/1', 'rpmostree/base', 'ostree/container/baseimage'];

const MANIFEST_DIGEST_KEY = 'ostree.manifest-digest';
const MANIFEST_KEY = 'ostree.manifest';
const CONFIG_KEY = 'ostree.container.image-config';
/** In the commit of a layer of files that ostrata imported: the diff_id that was verified. */
export const DIFF_ID_KEY = 'ostrata.diff-id';
/** In the same commit: the SELinux policy that gave the labels, if there are any. */
export const POLICY_KEY = 'ostrata.selinux-policy';

/** A pulled image, as its merge commit describes it. */
export interface StoredImage {
  readonly mergeCommit: string;
  /** The merge commit, parsed. */
  readonly commit: Commit;
  readonly manifestDigest: string;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** Canonical JSON, as it is stored. */
  readonly manifestJson: string;
  /** Canonical JSON, as it is stored. */
  readonly configJson: string;
}

/** @param imgref as {@link canonicalImgref} returns it */
export function imageRef(imgref: string): string {
  return `${IMAGE_PREFIX}/${escapeForRef(imgref)}`;
}

/** @param digest `sha256:HEX` of the compressed blob */
export function blobRef(digest: string): string {
  return `${BLOB_PREFIX}/${escapeForRef(digest)}`;
}

/** The metadata of an image's merge commit, keys in ascending order. */
export function imageMetadata(
  manifestDigest: string,
  manifest: Uint8Array,
  config: Uint8Array,
): Metadata {
  return new Map([
    [CONFIG_KEY, { type: 's', value: canonicalText(config) }],
    [MANIFEST_KEY, { type: 's', value: canonicalText(manifest) }],
    [MANIFEST_DIGEST_KEY, { type: 's', value: manifestDigest }],
  ]);
}

function canonicalText(json: Uint8Array): string {
  const value = decodeJson(Buffer.from(json).toString());
  return Buffer.from(canonicalJson(value)).toString();
}

/** Canonical references of all pulled images, sorted. */
export function listImages(repo: OstreeRepo): string[] {
  return namesBelow(repo, IMAGE_PREFIX);
}

/** Digests of all layers that have a ref. */
export function listBlobs(repo: OstreeRepo): string[] {
  return namesBelow(repo, BLOB_PREFIX);
}

function namesBelow(repo: OstreeRepo, prefix: string): string[] {
  return listRefs(repo.path, prefix).map((ref) => unescapeRef(ref.slice(prefix.length + 1)));
}

/**
 * The image that was pulled as `imgref`; undefined if there is no such image, or if its merge
 * commit was lost: `ostree fsck --delete` removes damaged objects.
 * @param imgref as {@link canonicalImgref} returns it
 */
export function storedImage(repo: OstreeRepo, imgref: string): StoredImage | undefined {
  const mergeCommit = existingCommit(repo, imageRef(imgref));
  return mergeCommit === undefined
    ? undefined
    : inContext(`reading image ${imgref} of ${repo.path}`, () => imageOfCommit(repo, mergeCommit));
}

/** {@link storedImage} for an image that must be there; throws `NOT_FOUND` with the nearest one. */
export function requireImage(repo: OstreeRepo, imgref: string): StoredImage {
  const image = storedImage(repo, imgref);
  if (image === undefined) {
    throw new OstrataError('NOT_FOUND', missingImage(repo, imgref));
  }
  return image;
}

/** Returns the message about an image that the repository does not have. */
export function missingImage(repo: OstreeRepo, imgref: string): string {
  return `no image ${imgref} in ${repo.path}${didYouMean(imgref, listImages(repo))}`;
}

/** The commit that the layer with this digest was imported as; undefined if it was not. */
export function storedBlob(repo: OstreeRepo, digest: string): string | undefined {
  return readRef(repo, `heads/${blobRef(digest)}`);
}

/** The diff_id that a layer was verified to have when it was imported as `commit`. */
export function verifiedDiffId(repo: OstreeRepo, commit: string): string | undefined {
  return stringValue(repo.loadCommit(commit).parsed, DIFF_ID_KEY);
}

/** The SELinux policy that gave the labels of a layer, as its commit states it. */
export function labelingPolicy(repo: OstreeRepo, commit: string): string | undefined {
  return stringValue(repo.loadCommit(commit).parsed, POLICY_KEY);
}

/** A commit of the repository with its signatures; it may be marked as partial. */
export function signedCommit(repo: OstreeRepo, checksum: string): SignedCommit {
  const { bytes } = repo.loadCommit(checksum, { partial: true });
  return { checksum, bytes, detached: repo.loadCommitMeta(checksum)?.bytes };
}

/** The commit that a ref names; undefined if the repository has no such ref or commit. */
function existingCommit(repo: OstreeRepo, ref: string): string | undefined {
  const commit = readRef(repo, `heads/${ref}`);
  return commit !== undefined && hasObject(repo.path, encodeObjectName(commit, 'commit'))
    ? commit
    : undefined;
}

function imageOfCommit(repo: OstreeRepo, mergeCommit: string): StoredImage {
  const commit = repo.loadCommit(mergeCommit, { partial: true }).parsed;
  const required = (key: string) => {
    const value = stringValue(commit, key);
    if (value === undefined) {
      throw new OstrataError('CORRUPT', `merge commit ${mergeCommit} has no metadata ${key}`);
    }
    return value;
  };

  const manifestDigest = required(MANIFEST_DIGEST_KEY);
  const manifestJson = required(MANIFEST_KEY);
  const configJson = required(CONFIG_KEY);
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

function stringValue({ metadata }: Commit, key: string): string | undefined {
  const value = metadataValue(metadata, key, 's');
  return typeof value === 'string' ? value : undefined;
}

/**
 * Returns a pulled or deployed image by the digest of its config; undefined if there is none.
 * @param configDigest `sha256:HEX`
 */
export function imageByConfig(repo: OstreeRepo, configDigest: string): StoredImage | undefined {
  return allImages(repo).find(({ manifest }) => manifest.config.digest === configDigest);
}

/** Returns all images that are pulled or deployed. */
export function allImages(repo: OstreeRepo): readonly StoredImage[] {
  const pulled = listImages(repo).map((imgref) => storedImage(repo, imgref));
  const neededRefs = NEEDED_PREFIXES.flatMap((prefix) => listRefs(repo.path, prefix));
  const needed = neededRefs.map((ref) => imageOfRef(repo, ref));
  return [...pulled, ...needed].filter((image) => image !== undefined);
}

/** The image whose merge commit `ref` names; undefined if it names another kind of commit. */
function imageOfRef(repo: OstreeRepo, ref: string): StoredImage | undefined {
  const commit = existingCommit(repo, ref);
  if (commit === undefined) {
    return undefined;
  }
  const { metadata } = repo.loadCommit(commit, { partial: true }).parsed;
  return metadata.has(MANIFEST_DIGEST_KEY) ? imageOfCommit(repo, commit) : undefined;
}

/** Layers of all images, by what they hold and by how it was compressed. */
export interface KnownLayers {
  /** Digest of a blob, by diff_id. */
  readonly digests: ReadonlyMap<string, string>;
  /** diff_id, by the digest of the blob. */
  readonly diffIds: ReadonlyMap<string, string>;
}

/**
 * Returns what all images together say of their layers. If they disagree about one, the first
 * counts.
 */
export function knownLayers(repo: OstreeRepo): KnownLayers {
  const digests = new Map<string, string>();
  const diffIds = new Map<string, string>();
  for (const { manifest, config } of allImages(repo)) {
    for (const [i, { digest }] of manifest.layers.entries()) {
      const diffId = config.rootfs.diff_ids[i];
      if (diffId !== undefined) {
        setIfAbsent(digests, diffId, digest);
        setIfAbsent(diffIds, digest, diffId);
      }
    }
  }
  return { digests, diffIds };
}

function setIfAbsent(map: Map<string, string>, key: string, value: string): void {
  if (!map.has(key)) {
    map.set(key, value);
  }
}
