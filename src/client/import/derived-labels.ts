/** Labels files and directories of derived layers by the SELinux policy of the merged system. */

import {
  DEFAULT_DIRMETA,
  type DerivedDirectory,
  type DerivedLayer,
  directoriesWithPaths,
} from '../../layers/derived.js';
import type { Logger } from '../../log.js';
import { parseWhiteout } from '../../oci/whiteout.js';
import { startFileChecksum } from '../../ostree/objects/file.js';
import { encodeXattrs } from '../../ostree/objects/xattr-list.js';
import type { MutableTree } from '../../ostree/write/mutable-tree.js';
import { ObjectStage } from '../../ostree/write/stage.js';
import { StagedContent } from '../../ostree/write/staged-content.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import { type EntryToLabel, SELINUX_XATTR, type SelinuxLabels, selinuxLabels } from './selinux.js';

/** A derived layer that was fetched and verified; its objects are not yet in the repository. */
export interface StagedDerivedLayer {
  readonly derived: DerivedLayer;
  /** The directory that its content objects are in. */
  readonly stage: string;
  /** The content objects, `CHECKSUM.extension` each. */
  readonly names: readonly string[];
}

/**
 * The same layers with labels, staged anew, as a label is part of an object and changes its
 * checksum. Returns `layers` themselves, with a warning, if `ostree` cannot be asked for labels.
 * @param policy the directory `/usr/etc/selinux` of the merged system
 */
export async function labelLayers<T extends StagedDerivedLayer>(
  writer: RepoWriter,
  policy: MutableTree,
  layers: readonly T[],
  log: Logger,
): Promise<readonly T[]> {
  const content = new StagedContent(writer.repo, writer.createStage(), layers);
  const labeled: T[] = [];
  for (const layer of layers) {
    // Each layer by itself: what is a file in one can be a directory in the next.
    const entries = [...entriesOf(layer.derived, content)];
    const labels = await selinuxLabels(policy, content, entries, log);
    if (labels === undefined) {
      return layers;
    }
    const directory = writer.createStage();
    const stage = new ObjectStage(writer.target, directory);
    try {
      const labeler = new Labeler(labels, content, stage);
      const derived = await labeler.layer(layer.derived);
      labeled.push({ ...layer, derived, stage: directory, names: [...stage.names] });
    } finally {
      stage.abandon();
    }
  }
  return labeled;
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
   * Stages the content object with the label of `path`, if the policy gives it one; returns its new
   * checksum.
   */
  async #file(checksum: string, path: string): Promise<string> {
    const info = this.#content.info(checksum);
    const xattrsBytes = encodeXattrs(this.#withLabel(info.xattrs, path));
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
    const label = this.#labels.get(path);
    return label === undefined ? xattrs : new Map([...xattrs, [SELINUX_XATTR, label]]);
  }
}
