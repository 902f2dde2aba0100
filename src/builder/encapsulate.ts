/** The image of an ostree commit: the commit layer, and layers of content objects. */
import {
  type CommitLayerSpec,
  chunkLayerSpec,
  commitLayerKey,
  commitLayerSpec,
  type FormatVersion,
  layerKey,
} from '../layers/spec.js';
import type { Context } from '../log.js';
import { openRepo } from '../ostree/repo.js';
import { type CommitSigner, signCommit } from '../ostree/sign/sign.js';
import type { ImageWriter } from '../transports/transport.js';
import { type CommitTree, openLargeCommitTree } from '../tree/commit.js';
import { commitArchitecture } from './architecture.js';
import { commitDescription, describeCommit, type ImageOptions } from './commit-config.js';
import { componentsAnnotation, createdBy } from './image-config.js';
import {
  type CommitLayer,
  type ImageFormat,
  type ImagePlan,
  type LayoutPlanOptions,
  type PlannedCommitLayer,
  planLayers,
} from './image-plan.js';
import type { BlobOptions } from './write-blobs.js';
import { type WrittenImage, writePlannedImage } from './write-image.js';

export interface PlanImageOptions extends LayoutPlanOptions {
  /** Path of the ostree repository. */
  readonly repo: string;
  /** A ref, `remote:ref`, or a commit's checksum or its unique beginning. */
  readonly ref: string;
  readonly formatVersion: FormatVersion;
  /**
   * Sign the commit in the image, whose signatures in the repository are kept. The repository stays
   * as it is.
   */
  readonly signers?: readonly CommitSigner[] | undefined;
}

/** The plan of an encapsulated image. */
export interface CommitImagePlan extends ImagePlan {
  readonly tree: ImagePlan['tree'] & Pick<CommitTree, 'commit'>;
  readonly commitLayer: PlannedCommitLayer;
}

/**
 * Decides which layer holds what. Reads the commit's metadata and package database, and content
 * only as far as a content source asks for it.
 */
export async function planImage(options: PlanImageOptions): Promise<CommitImagePlan> {
  const repo = openRepo(options.repo);
  const tree = await openLargeCommitTree(repo, repo.resolve(options.ref), options.log);
  const commitLayer = await commitLayerOf(tree, options);
  const format: ImageFormat = {
    tree,
    commitLayer,
    objectOf: ({ checksum }) => checksum,
    ownComponents: () => [],
    layerOf: (components) => {
      const spec = chunkLayerSpec(tree, components, options.formatVersion);
      return { spec, key: layerKey(spec) };
    },
  };
  const plan = await planLayers(tree, () => format, options);
  const unchanged = plan.commitLayer?.unchanged;
  const { commit } = tree;
  return { ...plan, tree: { ...plan.tree, commit }, commitLayer: { ...commitLayer, unchanged } };
}

async function commitLayerOf(
  tree: CommitTree,
  { formatVersion, signers = [] }: PlanImageOptions,
): Promise<CommitLayer & { readonly spec: CommitLayerSpec }> {
  const { commit, repo } = tree;
  const stored = repo.loadCommitMeta(commit.checksum)?.bytes;
  const detached = await signCommit(commit.bytes, stored, signers);
  const spec = commitLayerSpec(tree, formatVersion, detached);
  return { spec, key: commitLayerKey(spec), createdBy: commitDescription(commit) };
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
      plan.tree.commit,
      options.architecture ?? architectureOf(plan),
      options,
    ),
    describeLayer: ({ components }) => ({
      annotations: componentsAnnotation(components),
      createdBy: createdBy(components),
    }),
  }));
}

function architectureOf({ tree, components }: CommitImagePlan): string {
  const packages = components.flatMap(({ facts }) => facts.packages);
  return commitArchitecture(tree.commit.parsed, packages);
}
