/** `build --format=ostree`: the tree as an ostree commit in an encapsulated image. */
import { bootLabels } from '../../builder/commit-config.js';
import { planNewCommit, writeNewCommit } from '../../builder/encapsulate.js';
import type { Labels } from '../../builder/image-config.js';
import type { ImagePlan } from '../../builder/image-plan.js';
import { type CommitKeeper, checkKeeper, keepCommit } from '../../builder/keep-commit.js';
import type { PlainImageOptions } from '../../builder/plain-config.js';
import type { WrittenImage } from '../../builder/write-image.js';
import { inContext } from '../../errors.js';
import { checkRefName } from '../../ostree/write/refs.js';
import type { ImageWriter } from '../../transports/transport.js';
import type { LocatedTree } from '../../tree/content-location.js';
import type { BuildInputs } from '../container/build-inputs.js';
import { formatVersionOf } from '../container/encapsulate-options.js';
import { type CommitOptions, newCommitOf } from './commit-options.js';

/** What was decided about an image, and how it is written. */
export interface PlannedBuild {
  readonly plan: ImagePlan;
  readonly write: (writer: ImageWriter) => Promise<WrittenImage>;
}

/** Makes the commit, and decides which layer of its image holds what. */
export async function planCommit(
  tree: LocatedTree,
  imageOptions: PlainImageOptions,
  { layoutOptions, blobOptions, log, signal }: BuildInputs,
  options: CommitOptions,
): Promise<PlannedBuild> {
  const { base, created = base?.created } = imageOptions;
  const writeOptions = withBootLabels(imageOptions, bootLabels(tree.files));
  const plan = await planNewCommit({
    ...layoutOptions,
    tree,
    commit: newCommitOf(options),
    timestamp: created,
    formatVersion: formatVersionOf(options.formatVersion),
    signers: options.signers,
  });
  const keeper = keeperOf(options);
  const write = async (writer: ImageWriter) => {
    try {
      if (keeper !== undefined) {
        await keepCommit(plan, { ...keeper, log, signal });
      }
    } catch (error) {
      await writer.discard();
      throw error;
    }
    return writeNewCommit(plan, writer, { ...writeOptions, ...blobOptions });
  };
  return { plan, write };
}

/** Throws what {@link checkKeeper} throws: before a large tree is read. */
export function checkWriteCommitTo({ writeCommitTo: repo, commitRef: ref }: CommitOptions): void {
  if (repo !== undefined) {
    inContext('option --write-commit-to', () => checkKeeper({ repo }));
  }
  if (ref !== undefined) {
    inContext('option --commit-ref', () => checkRefName(ref));
  }
}

function keeperOf(options: CommitOptions): CommitKeeper | undefined {
  const { writeCommitTo: repo, commitRef: ref } = options;
  return repo === undefined ? undefined : { repo, ref };
}

/** The labels are added before those that the user sets or removes. */
function withBootLabels(options: PlainImageOptions, boot: Labels): PlainImageOptions {
  const withBoot = (edit: EditLabels = (labels) => labels): EditLabels => {
    return (labels) => edit({ ...labels, ...boot });
  };
  return {
    ...options,
    editLabels: withBoot(options.editLabels),
    editAnnotations: withBoot(options.editAnnotations),
  };
}

type EditLabels = (labels: Labels) => Labels;
