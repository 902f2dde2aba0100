/** Labels files and directories of derived layers by the SELinux policy of the merged system. */
import type { Xattrs } from '../../bytes/xattrs.js';
import { must } from '../../errors.js';
import {
  DEFAULT_DIRMETA,
  type DerivedDirectory,
  type DerivedLayer,
  directoriesWithPaths,
} from '../../layers/derived.js';
import { parseWhiteout } from '../../oci/whiteout.js';
import type { Dirmeta } from '../../ostree/objects/dirmeta.js';
import { startFileChecksum } from '../../ostree/objects/file.js';
import { encodeXattrs } from '../../ostree/objects/xattr-list.js';
import { ObjectStage } from '../../ostree/write/stage.js';
import type { StagedContent } from '../../ostree/write/staged-content.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import { withLabel, withoutLabel } from '../../tree/labels.js';
import type { LabelingPolicy } from './selinux.js';

/** A layer of files, in the repository or fetched and verified. */
export interface LabeledLayer {
  /** Returns what the layer holds; costs time for one that the repository has. */
  readonly derived: () => DerivedLayer;
  /** The {@link LabelingPolicy.id} of the policy that gave the labels; undefined if unknown. */
  readonly policyId: string | undefined;
  /** The directory of content objects that are not yet in the repository; none if all are. */
  readonly stage: string | undefined;
  /** The content objects in `stage`, `CHECKSUM.extension` each. */
  readonly names: readonly string[];
}

/**
 * Returns the same layers with the labels of `policy`; one that occurs twice is labeled once. A
 * label is part of an object and changes its checksum: a layer that has labels of another policy is
 * staged anew.
 */
export async function labelLayers<T extends LabeledLayer>(
  writer: RepoWriter,
  policy: LabelingPolicy,
  content: StagedContent,
  layers: readonly T[],
): Promise<readonly T[]> {
  const labeled = new Map<T, T>();
  for (const layer of new Set(layers)) {
    const isLabeled = layer.policyId === policy.id;
    labeled.set(layer, isLabeled ? layer : await labelLayer(writer, policy, content, layer));
  }
  return layers.map((layer) => must(labeled.get(layer), 'a layer with labels'));
}

async function labelLayer<T extends LabeledLayer>(
  writer: RepoWriter,
  policy: LabelingPolicy,
  content: StagedContent,
  layer: T,
): Promise<T> {
  const directory = writer.createStage();
  const stage = new ObjectStage(writer.target, directory);
  try {
    const labeler = new LayerLabeler(policy, content, stage);
    const derived = await labeler.layer(layer.derived());
    const names = [...stage.names];
    return { ...layer, derived: () => derived, policyId: policy.id, stage: directory, names };
  } finally {
    stage.abandon();
  }
}

/** Writes the labeled objects of one layer to a stage. */
class LayerLabeler {
  readonly #policy: LabelingPolicy;
  readonly #content: StagedContent;
  readonly #stage: ObjectStage;

  constructor(policy: LabelingPolicy, content: StagedContent, stage: ObjectStage) {
    this.#policy = policy;
    this.#content = content;
    this.#stage = stage;
  }

  async layer(layer: DerivedLayer): Promise<DerivedLayer> {
    const directories: DerivedDirectory[] = [];
    for (const [directory, path] of directoriesWithPaths(layer)) {
      directories.push(await this.#directory(directory, path));
    }
    return { ...layer, directories };
  }

  /** @param path without a leading slash; empty for the root */
  async #directory(directory: DerivedDirectory, path: string): Promise<DerivedDirectory> {
    const { meta = DEFAULT_DIRMETA } = directory;
    const parent = path === '' ? '' : `/${path}`;
    const files = new Map<string, string>();
    for (const [name, checksum] of directory.files) {
      // A whiteout is no file of the system.
      const filePath = parseWhiteout(name) === undefined ? `${parent}/${name}` : undefined;
      files.set(name, await this.#file(checksum, filePath));
    }
    const xattrs = this.#labeled(meta, parent || '/');
    return { ...directory, meta: { ...meta, xattrs }, files };
  }

  /**
   * Stages the content object with the label of `path`, if the policy gives it one, and returns its
   * new checksum. An object of the repository that has this label is left where it is.
   */
  async #file(checksum: string, path: string | undefined): Promise<string> {
    const info = this.#content.info(checksum);
    const xattrsBytes = encodeXattrs(this.#labeled(info, path));
    const isSame = Buffer.compare(xattrsBytes, encodeXattrs(info.xattrs)) === 0;
    if (isSame && !this.#content.isStaged(checksum)) {
      return checksum;
    }
    const header = { ...info, xattrsBytes };

    const hash = startFileChecksum(header);
    const sink = this.#stage.newFile(header);
    if (info.type === 'file') {
      for await (const bytes of this.#content.read(checksum, info)) {
        hash.update(bytes);
        sink.write(bytes);
      }
    }
    const labeled = hash.digest('hex');
    sink.finish(labeled);
    return labeled;
  }

  /** The xattrs of what is at `path`, with its label or without any. */
  #labeled({ xattrs, mode }: Pick<Dirmeta, 'xattrs' | 'mode'>, path: string | undefined): Xattrs {
    const label = path === undefined ? undefined : this.#policy.labelOf(path, mode);
    return withLabel(withoutLabel(xattrs), label);
  }
}
