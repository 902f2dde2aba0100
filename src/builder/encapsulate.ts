/** The image of an ostree commit: the commit layer, and layers of content objects. */
import { newestBuildTime } from '../components/rates.js';
import { must } from '../errors.js';
import {
  chunkLayerSpec,
  commitLayerKey,
  commitLayerSpec,
  type FormatVersion,
  layerKey,
} from '../layers/spec.js';
import { type Context, duringWork } from '../log.js';
import { openRepo } from '../ostree/repo.js';
import { type CommitSigner, signCommit } from '../ostree/sign/sign.js';
import type { Claims } from '../plugin.js';
import type { ImageWriter } from '../transports/transport.js';
import { type CommitTree, openLargeCommitTree } from '../tree/commit.js';
import type { LocatedTree } from '../tree/content-location.js';
import { committedTree, type NewCommit, uncommittedTree } from '../tree/new-commit.js';
import { commitArchitecture } from './architecture.js';
import {
  commitDescription,
  describeCommit,
  describeNewCommit,
  type ImageOptions,
} from './commit-config.js';
import { componentsAnnotation, createdBy } from './image-config.js';
import {
  type CommitLayer,
  type ImageFormat,
  type ImagePlan,
  type LayoutPlanOptions,
  type PlannedCommitLayer,
  planLayers,
} from './image-plan.js';
import type { PlainImageOptions } from './plain-config.js';
import type { BlobOptions } from './write-blobs.js';
import { type LayerDescriber, type WrittenImage, writePlannedImage } from './write-image.js';

/** How the layers of a commit are planned, wherever it comes from. */
interface PlanCommitOptions extends LayoutPlanOptions {
  readonly formatVersion: FormatVersion;
  /**
   * Sign the commit in the image, whose signatures in the repository are kept. The repository stays
   * as it is.
   */
  readonly signers?: readonly CommitSigner[] | undefined;
}

export interface PlanImageOptions extends PlanCommitOptions {
  /** Path of the ostree repository. */
  readonly repo: string;
  /** A ref, `remote:ref`, or a commit's checksum or its unique beginning. */
  readonly ref: string;
}

/** The plan of an encapsulated image. */
export interface CommitImagePlan extends ImagePlan {
  readonly commitLayer: PlannedCommitLayer;
}

/**
 * Decides which layer holds what. Reads the commit's metadata and package database, and content
 * only as far as a content source asks for it.
 */
export async function planImage(options: PlanImageOptions): Promise<CommitImagePlan> {
  const { ref, log } = options;
  const repo = openRepo(options.repo);
  const tree = await duringWork(log, 'reading the tree', () =>
    openLargeCommitTree(repo, repo.resolve(ref), log),
  );
  return planCommit(tree, () => tree, options);
}

export interface PlanNewCommitOptions extends PlanCommitOptions {
  /** Its entries have the attributes that the commit gives them. */
  readonly tree: LocatedTree;
  readonly commit: Omit<NewCommit, 'timestamp'>;
  /** Seconds since 1970; by default the build time of the newest package, or 0. */
  readonly timestamp?: number | undefined;
}

/** Decides the same for a commit that is made of a tree, and that no repository has. */
export function planNewCommit({
  tree: source,
  commit,
  timestamp,
  ...options
}: PlanNewCommitOptions): Promise<CommitImagePlan> {
  const tree = uncommittedTree(source);
  const commitOf = (claims: readonly Claims[]) => {
    const facts = claims.flatMap(({ components }) => [...components.values()]);
    return committedTree(tree, { ...commit, timestamp: timestamp ?? newestBuildTime(facts) });
  };
  return planCommit(tree, commitOf, options);
}

/** @param commitOf returns the commit of `tree`; it may use what the content sources found */
async function planCommit(
  tree: LocatedTree,
  commitOf: (claims: readonly Claims[]) => CommitTree,
  options: PlanCommitOptions,
): Promise<CommitImagePlan> {
  const { formatVersion, signers = [] } = options;
  const formatOf = async (claims: readonly Claims[]) => {
    const committed = commitOf(claims);
    const { bytes } = committed.commit;
    const detachedMetadata = await signCommit(bytes, committed.detachedMetadata, signers);
    return commitFormat({ ...committed, detachedMetadata }, formatVersion);
  };
  const plan = await planLayers(tree, formatOf, options);
  return { ...plan, commitLayer: must(plan.commitLayer, 'the commit layer') };
}

function commitFormat(tree: CommitTree, formatVersion: FormatVersion): ImageFormat {
  return {
    tree,
    commitLayer: commitLayerOf(tree, formatVersion),
    objectOf: ({ checksum }) => checksum,
    ownComponents: () => [],
    layerOf: (components) => {
      const spec = chunkLayerSpec(tree, components, formatVersion);
      return { spec, key: layerKey(spec) };
    },
  };
}

function commitLayerOf(tree: CommitTree, formatVersion: FormatVersion): CommitLayer {
  const spec = commitLayerSpec(tree, formatVersion);
  const key = commitLayerKey(spec);
  const { commit } = tree;
  return { commit, spec, key, createdBy: commitDescription(commit) };
}

/** How the layers of a plan are written, and what else the image says. */
export interface WriteImageOptions extends BlobOptions, ImageOptions, Context {}

/**
 * Writes the planned layers, reusing those that did not change, and commits the image to `writer`.
 * On failure nothing is left at the destination.
 */
export async function writeImage(
  plan: CommitImagePlan,
  writer: ImageWriter,
  options: WriteImageOptions,
): Promise<WrittenImage> {
  return writePlannedImage(plan, writer, options, () => ({
    description: describeCommit(
      plan.commitLayer.commit,
      options.architecture ?? architectureOf(plan),
      options,
    ),
    describeLayer: describeChunk,
  }));
}

/** How the image of a new commit is written, and what else it says. */
export interface WriteNewCommitOptions extends BlobOptions, PlainImageOptions, Context {}

/** Does the same for a new commit, whose image inherits a config as plain images do. */
export async function writeNewCommit(
  plan: CommitImagePlan,
  writer: ImageWriter,
  options: WriteNewCommitOptions,
): Promise<WrittenImage> {
  return writePlannedImage(plan, writer, options, () => ({
    description: describeNewCommit(plan.commitLayer.commit, plan.components, options),
    describeLayer: describeChunk,
  }));
}

const describeChunk: LayerDescriber = ({ components }) => ({
  annotations: componentsAnnotation(components),
  createdBy: createdBy(components),
});

function architectureOf({ commitLayer, components }: CommitImagePlan): string {
  const packages = components.flatMap(({ facts }) => facts.packages);
  return commitArchitecture(commitLayer.commit.parsed, packages);
}
