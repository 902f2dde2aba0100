/**
 * Pulls an image into a repository: its ostree commit, the layers of files, and a merge commit. The
 * merge commit has the tree of all of them together, and its metadata holds the manifest and config
 * of the image. A plain image has layers of files only.
 */
import { classifyLayers, isPlain } from '../image/encapsulated.js';
import { duringWork } from '../log.js';
import type { ImageReader } from '../oci/image.js';
import { encodeCommit } from '../ostree/objects/commit.js';
import { sha256Hex } from '../ostree/objects/object-name.js';
import type { EncodedObject } from '../ostree/objects/object-set.js';
import type { OstreeRepo } from '../ostree/repo.js';
import type { MutableTree } from '../ostree/write/mutable-tree.js';
import { hasWholeCommit } from '../ostree/write/partial.js';
import { checkRefName } from '../ostree/write/refs.js';
import type { RepoWriter } from '../ostree/write/writer.js';
import { importCommit } from './import/commit.js';
import { importDerived } from './import/derived.js';
import type { ImportPlan } from './import/plan.js';
import { mergedTree, removeInjected } from './merge.js';
import { pruneLayers } from './prune.js';
import {
  announceNothing,
  checkSignatureCovers,
  type ImportOptions,
  type ImportResult,
  type ImportSession,
  importResult,
  planSession,
  withImportSession,
} from './session.js';
import {
  imageMetadata,
  imageRef,
  type StoredImage,
  signedCommit,
  storedBlob,
  storedImage,
} from './stored.js';
import { canonicalImgref } from './verify/ostree-image-reference.js';

const IMAGE_CREATED = 'org.opencontainers.image.created';

export interface PullResult extends Omit<ImportResult, 'commit'> {
  /** Checksum of the ostree commit; undefined for a plain image, which holds none. */
  readonly commit: string | undefined;
  /** The commit that a system deploys; its parent is `commit`. */
  readonly mergeCommit: string;
}

/**
 * Pulls an image, or brings a pulled one up to date. Layers that no image needs any more lose their
 * refs. An image that did not change costs one request, and is verified again.
 */
export async function pullImage(options: ImportOptions): Promise<PullResult> {
  const imgref = canonicalImgref(options.source.imgref);
  const ref = imageRef(imgref);
  checkRefName(ref);
  const { log } = options;

  return withImportSession(options, async (session) => {
    const { image, writer } = session;
    const previous = storedImage(writer.repo, imgref);
    if (previous !== undefined && isSame(previous, image) && isWhole(writer.repo, previous)) {
      return verifyAgain(session, previous);
    }

    const plan = await planSession(session);
    const commit = isPlain(plan.layers) ? undefined : await importCommit(session, plan);
    const derivedTrees = await importDerived(session, plan, commit);
    const mergeCommit = await duringWork(log, 'writing the merge commit', () =>
      writeMergeCommit(writer, plan, commit, derivedTrees, ref),
    );
    const pruned = pruneLayers(writer);
    log.info(
      pruned === undefined
        ? 'no layers pruned: another process uses the repository'
        : `${pruned} layers pruned`,
    );
    return { commit, mergeCommit, ...importResult(session, plan) };
  });
}

/**
 * Whether the manifest is the same, or another one with the same config: that names the same
 * layers.
 */
function isSame({ manifestDigest, manifest }: StoredImage, image: ImageReader): boolean {
  return (
    manifestDigest === image.manifestDigest ||
    manifest.config.digest === image.manifest.config.digest
  );
}

/** Whether the repository still has all of a pulled image. */
function isWhole(repo: OstreeRepo, image: StoredImage): boolean {
  const base = baseCommit(repo, image);
  const commits = base === undefined ? [image.mergeCommit] : [image.mergeCommit, base];
  return commits.every((commit) => hasWholeCommit(repo.path, commit));
}

/** Checksum of the ostree commit that an image was built from; undefined for a plain image. */
function baseCommit(repo: OstreeRepo, image: StoredImage): string | undefined {
  const { manifest, config, commit } = image;
  if (isPlain(classifyLayers(manifest, config))) {
    return undefined;
  }
  const [commitLayer] = manifest.layers;
  return storedBlob(repo, commitLayer?.digest ?? '') ?? commit.parent ?? '';
}

/** An image that was pulled without verification must not pass for a verified one later. */
async function verifyAgain(session: ImportSession, stored: StoredImage): Promise<PullResult> {
  const { writer, options } = session;
  const { manifest, config, mergeCommit } = stored;
  checkSignatureCovers(classifyLayers(manifest, config), options.source.verification);

  const commit = baseCommit(writer.repo, stored);
  if (commit !== undefined) {
    await session.verifyCommit?.(signedCommit(writer.repo, commit));
  }

  return { commit, mergeCommit, ...announceNothing(session) };
}

/**
 * Writes a commit whose tree is that of `base` with `layers` laid over it, and makes `ref` name it.
 * The same image gives the same merge commit everywhere.
 * @param base undefined for a plain image: the commit has no parent then
 */
function writeMergeCommit(
  writer: RepoWriter,
  plan: ImportPlan,
  base: string | undefined,
  layers: readonly MutableTree[],
  ref: string,
): string {
  const { repo } = writer;
  const root = mergedTree(repo, base, layers);
  removeInjected(repo, root);

  const objects: EncodedObject[] = [];
  const dirtree = root.write((object) => objects.push(object));
  const { manifestDigest, manifestBytes } = plan.image;
  const bytes = encodeCommit({
    metadata: imageMetadata(manifestDigest, manifestBytes, plan.configBytes),
    parent: base,
    related: [],
    subject: '',
    body: '',
    timestamp: creationTime(plan) ?? timestampOf(repo, base),
    dirtree,
    dirmeta: root.dirmeta,
  });
  const checksum = sha256Hex(bytes);
  const staged = writer.stageMetadata([...objects, { kind: 'commit', checksum, bytes }]);
  writer.commit([staged], [[ref, checksum]]);
  return checksum;
}

/**
 * Returns the time at which the image was made according to its manifest or config, in seconds
 * since 1970; undefined if neither has one.
 */
function creationTime({ image, config }: ImportPlan): number | undefined {
  const created = image.manifest.annotations?.[IMAGE_CREATED] ?? config.created ?? '';
  const timestamp = Math.floor(Date.parse(created) / 1000);
  return timestamp >= 0 ? timestamp : undefined;
}

/** A plain image that states no time gets 1970, so that its merge commit is the same everywhere. */
function timestampOf(repo: OstreeRepo, base: string | undefined): number {
  return base === undefined ? 0 : repo.loadCommit(base).parsed.timestamp;
}
