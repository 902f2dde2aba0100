/** Labels files and directories of derived layers by the SELinux policy of the merged system. */
import { must } from '../../errors.js';
import {
  DEFAULT_DIRMETA,
  type DerivedDirectory,
  type DerivedLayer,
  directoriesWithPaths,
} from '../../layers/derived.js';
import { parseWhiteout } from '../../oci/whiteout.js';
import { startFileChecksum } from '../../ostree/objects/file.js';
import { encodeXattrs } from '../../ostree/objects/xattr-list.js';
import { ObjectStage } from '../../ostree/write/stage.js';
import type { StagedContent } from '../../ostree/write/staged-content.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import {
  type EntryToLabel,
  SELINUX_XATTR,
  type SelinuxLabels,
  type SelinuxPolicy,
} from './selinux.js';

/** A layer of files, in the repository or fetched and verified. */
export interface LabeledLayer {
  /** Returns what the layer holds; costs time for one that the repository has. */
  readonly derived: () => DerivedLayer;
  /** The {@link SelinuxPolicy.id} of the policy that gave the labels; undefined if unknown. */
  readonly policyId: string | undefined;
  /** The directory of content objects that are not yet in the repository; none if all are. */
  readonly stage: string | undefined;
  /** The content objects in `stage`, `CHECKSUM.extension` each. */
  readonly names: readonly string[];
}

/**
 * Returns the same layers with the labels of `policy`; one that occurs twice is labeled once. A
 * label is part of an object and changes its checksum: a layer that has labels of another policy is
 * staged anew. Throws `UNSUPPORTED` if `ostree` cannot be asked for labels.
 */
export async function labelLayers<T extends LabeledLayer>(
  writer: RepoWriter,
  policy: SelinuxPolicy,
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
  policy: SelinuxPolicy,
  content: StagedContent,
  layer: T,
): Promise<T> {
  // Each layer by itself: what is a file in one can be a directory in the next.
  const unlabeled = layer.derived();
  const labels = await policy.labels([...entriesOf(unlabeled, content)]);
  const directory = writer.createStage();
  const stage = new ObjectStage(writer.target, directory);
  try {
    const derived = await new Labeler(labels, content, stage).layer(unlabeled);
    const names = [...stage.names];
    return { ...layer, derived: () => derived, policyId: policy.id, stage: directory, names };
  } finally {
    stage.abandon();
  }
}

/** What a layer adds to the tree, with paths; whiteouts are left out. */
function* entriesOf(layer: DerivedLayer, content: StagedContent): Iterable<EntryToLabel> {
  for (const [{ meta = DEFAULT_DIRMETA, files }, path] of directoriesWithPaths(layer)) {
    if (path !== '') {
      yield { name: path, type: 'directory', mode: meta.mode };
    }
    for (const [name, checksum] of files) {
      if (parseWhiteout(name) === undefined) {
        const { type, mode } = content.info(checksum);
        yield { name: pathIn(path, name), type, mode };
      }
    }
  }
}

function pathIn(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

/** Writes the labeled objects of one layer to a stage. */
class Labeler {
  readonly #labels: SelinuxLabels;
  readonly #content: StagedContent;
  readonly #stage: ObjectStage;

  constructor(labels: SelinuxLabels, content: StagedContent, stage: ObjectStage) {
    this.#labels = labels;
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

  async #directory(directory: DerivedDirectory, path: string): Promise<DerivedDirectory> {
    const { meta = DEFAULT_DIRMETA } = directory;
    const files = new Map<string, string>();
    for (const [name, checksum] of directory.files) {
      files.set(name, await this.#file(checksum, pathIn(path, name)));
    }
    const xattrs = this.#withLabel(meta.xattrs, path);
    return { ...directory, meta: { ...meta, xattrs }, files };
  }

  /**
   * Stages the content object with the label of `path`, if the policy gives it one, and returns its
   * new checksum. An object of the repository that has this label is left where it is.
   */
  async #file(checksum: string, path: string): Promise<string> {
    const info = this.#content.info(checksum);
    const xattrsBytes = encodeXattrs(this.#withLabel(info.xattrs, path));
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

  #withLabel(
    xattrs: ReadonlyMap<string, Uint8Array>,
    path: string,
  ): ReadonlyMap<string, Uint8Array> {
    const labeled = new Map(xattrs);
    const label = this.#labels.get(path);
    if (label === undefined) {
      labeled.delete(SELINUX_XATTR);
    } else {
      labeled.set(SELINUX_XATTR, label);
    }
    return labeled;
  }
}
