/** An image in, its merge commit in a repository out: the ostree commit, derived layers over it, the image's metadata. */
import { classifyLayers } from '../image/encapsulated.js';
import type { ImageReader } from '../oci/image.js';
import { encodeCommit } from '../ostree/objects/commit.js';
import { sha256Hex } from '../ostree/objects/object-name.js';
import type { EncodedObject } from '../ostree/objects/object-set.js';
import type { OstreeRepo } from '../ostree/repo.js';
import type { MutableTree } from '../ostree/write/mutable-tree.js';
import { hasWholeCommit } from '../ostree/write/partial.js';
import { checkRefName } from '../ostree/write/refs.js';
import type { RepoWriter } from '../ostree/write/writer.js';
import { importDerived } from './import/derived.js';
import { type ImportPlan, importCounts, planImport } from './import/plan.js';
import { mutableTreeOfCommit, overlay, removeInjected } from './merge.js';
import { pruneLayers } from './prune.js';
import { imageMetadata, imageRef, type StoredImage, storedBlob, storedImage } from './stored.js';
import {
  checkDerived,
  type ImportOptions,
  type ImportResult,
  importPlanned,
  verifier,
  withSource,
} from './unencapsulate.js';
import { canonicalImgref } from './verify/ostree-image-reference.js';

export interface PullResult extends ImportResult {
  /** What a system deploys; `commit` is its parent. */
  readonly mergeCommit: string;
}

/** Pulls an image, or brings it up to date; layers that no image needs any more lose their refs. */
export async function pullImage(options: ImportOptions): Promise<PullResult> {
  const imgref = canonicalImgref(options.source.imgref);
  checkRefName(imageRef(imgref));
  return withSource(options, async (image, writer) => {
    const previous = storedImage(writer.repo, imgref);
    if (previous !== undefined && isSame(previous, image) && isWhole(writer.repo, previous)) {
      return alreadyPulled(writer, previous, image, options);
    }
    const plan = await planImport(writer.repo, image);
    return importPlanned(writer, plan, options, async (fetcher, commit) => {
      const derived = plan.layers.filter(({ kind }) => kind === 'derived');
      const trees =
        derived.length > 0
          ? await importDerived(writer, fetcher, derived, commit, options.log)
          : [];
      const mergeCommit = writeMergeCommit(writer, plan, commit, trees, imageRef(imgref));
      const pruned = pruneLayers(writer);
      options.log.info(
        pruned === undefined
          ? 'another process writes: no layers pruned'
          : `${pruned} layers pruned`,
      );
      return { commit, mergeCommit, manifestDigest: image.manifestDigest, ...importCounts(plan) };
    });
  });
}

/** The same manifest, or another one of the same config, which names the same layers. */
function isSame({ manifestDigest, manifest }: StoredImage, image: ImageReader): boolean {
  return (
    manifestDigest === image.manifestDigest ||
    manifest.config.digest === image.manifest.config.digest
  );
}

/** Whether nothing of it was lost since. */
function isWhole(repo: OstreeRepo, image: StoredImage): boolean {
  return [image.mergeCommit, baseOf(repo, image)].every((commit) =>
    hasWholeCommit(repo.path, commit),
  );
}

function baseOf(repo: OstreeRepo, { manifest, commit }: StoredImage): string {
  return storedBlob(repo, manifest.layers[0]?.digest ?? '') ?? commit.parent ?? '';
}

/** It may have been pulled without verification before: that is done again. */
async function alreadyPulled(
  writer: RepoWriter,
  stored: StoredImage,
  image: ImageReader,
  options: ImportOptions,
): Promise<PullResult> {
  const { repo } = writer;
  const { mergeCommit, manifest, config } = stored;
  checkDerived(image.name, classifyLayers(manifest, config), options.source);
  const base = baseOf(repo, stored);
  const { bytes } = repo.loadCommit(base);
  await verifier(
    writer,
    options,
  )?.({ checksum: base, bytes, detached: repo.loadCommitMeta(base)?.bytes });
  const { manifestDigest } = image;
  const layersPresent = manifest.layers.length;
  options.onEvent?.({
    event: 'planned',
    manifestDigest,
    layersNeeded: 0,
    layersPresent,
    bytesNeeded: 0,
  });
  return {
    commit: base,
    mergeCommit,
    manifestDigest,
    layersFetched: 0,
    layersPresent,
    bytesFetched: 0,
  };
}

/** Writes the commit of `base` with `layers` laid over it, and its ref; equal images have equal merge commits. */
function writeMergeCommit(
  writer: RepoWriter,
  { image, config, configBytes }: ImportPlan,
  base: string,
  layers: readonly MutableTree[],
  ref: string,
): string {
  const { repo } = writer;
  const root = mutableTreeOfCommit(repo, base);
  for (const layer of layers) {
    overlay(root, layer);
  }
  removeInjected(repo, root);
  const objects: EncodedObject[] = [];
  const dirtree = root.write((object) => objects.push(object));
  const created =
    image.manifest.annotations?.['org.opencontainers.image.created'] ?? config.created;
  const timestamp = Math.floor(Date.parse(created ?? '') / 1000);
  const bytes = encodeCommit({
    metadata: imageMetadata(image.manifestDigest, image.manifestBytes, configBytes),
    parent: base,
    related: [],
    subject: '',
    body: '',
    timestamp: timestamp >= 0 ? timestamp : repo.loadCommit(base).parsed.timestamp,
    dirtree,
    dirmeta: root.dirmeta,
  });
  const checksum = sha256Hex(bytes);
  writer.commit(
    [writer.stageMetadata([...objects, { kind: 'commit', checksum, bytes }])],
    [[ref, checksum]],
  );
  return checksum;
}
