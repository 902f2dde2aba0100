/**
 * What the image of an ostree commit says about itself: the labels and annotations that bootc
 * expects.
 */
import type { PlannedComponent } from '../components/assign.js';
import { must, OstrataError } from '../errors.js';
import { LAYOUT_LABEL } from '../layout/record.js';
import * as annotation from '../oci/annotations.js';
import { type Commit, metadataValue } from '../ostree/objects/commit.js';
import type { Loaded } from '../ostree/repo.js';
import type { FileEntry } from '../tree/tree.js';
import type { ImageDescription, ImageLayer, Labels } from './image-config.js';
import { describePlainImage, type PlainImageOptions } from './plain-config.js';

/** What the user decides about the config of an image. */
export interface ImageOptions {
  /** Labels, which also become manifest annotations. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /**
   * The `config` member of an OCI image config to start from. Its labels do not become annotations.
   */
  readonly imageConfig?: Readonly<Record<string, unknown>> | undefined;
  /** `Cmd` of the image; by default the commit's `ostree.container-cmd`. */
  readonly cmd?: readonly string[] | undefined;
  /** GOARCH; by default what the commit or its packages declare. */
  readonly architecture?: string | undefined;
  /** Commit metadata keys that become labels; a missing key is an error. */
  readonly copyMeta?: readonly string[] | undefined;
  /** Commit metadata keys that become labels if the commit has them. */
  readonly copyMetaOptional?: readonly string[] | undefined;
  /** Seconds since 1970 for `created`; by default the commit's timestamp. */
  readonly created?: number | undefined;
}

type LoadedCommit = Pick<Loaded<Commit>, 'checksum' | 'parsed'>;

/** rpm-ostree copies this key too: equal hashes mean that nothing has to be rebuilt. */
const INPUT_HASH = 'rpmostree.inputhash';
const CONTAINER_CMD = 'ostree.container-cmd';

/**
 * Describes the image of a commit. Throws `NOT_FOUND` for a missing `copyMeta` key.
 * @param architecture GOARCH
 */
export function describeCommit(
  { checksum, parsed }: LoadedCommit,
  architecture: string,
  options: ImageOptions,
): ImageDescription {
  const { Labels: baseLabels, ...base } = options.imageConfig ?? {};
  const copiedLabels = commitLabels(parsed, options);
  const commitCmd = metadataValue(parsed.metadata, CONTAINER_CMD, 'as');
  return {
    created: options.created ?? parsed.timestamp,
    architecture,
    config: { ...base, Cmd: options.cmd ?? commitCmd ?? base.Cmd },
    labels: (layers, record) => {
      const annotations = {
        ...copiedLabels,
        [LAYOUT_LABEL]: record,
        ...options.labels,
        ...contentLabels(checksum, layers),
      };
      return { labels: { ...objectOrNothing(baseLabels), ...annotations }, annotations };
    },
  };
}

/**
 * Describes the image of a new commit: as a plain image, apart from what clients need to find the
 * commit, and what its metadata becomes in the image of any commit.
 */
export function describeNewCommit(
  { checksum, parsed }: LoadedCommit,
  components: readonly PlannedComponent[],
  options: PlainImageOptions,
): ImageDescription {
  const ofCommit = commitLabels(parsed, {});
  const { editLabels = unchanged, editAnnotations = unchanged } = options;
  const description = describePlainImage(components, {
    ...options,
    created: parsed.timestamp,
    editLabels: (labels) => editLabels({ ...labels, ...ofCommit }),
    editAnnotations: (annotations) => editAnnotations({ ...annotations, ...ofCommit }),
  });
  return {
    ...description,
    // Clients of encapsulated images pair the entries of the history with the layers, one by one.
    history: undefined,
    labels: (layers, record) => {
      const { labels, annotations } = description.labels(layers, record);
      const ofContent = contentLabels(checksum, layers);
      return {
        labels: { ...labels, ...ofContent },
        annotations: { ...annotations, ...ofContent },
      };
    },
  };
}

function unchanged(labels: Labels): Labels {
  return labels;
}

/** Returns the labels by which clients find the commit in the layers. */
function contentLabels(commit: string, layers: readonly ImageLayer[]): Labels {
  const lastLayer = must(layers.at(-1), 'the commit layer');
  return {
    // Clients take the layers after this one for derived layers.
    [annotation.OSTREE_FINAL_DIFFID]: lastLayer.diffId,
    [annotation.OSTREE_COMMIT]: commit,
  };
}

const KERNEL = /^\/usr\/lib\/modules\/([^/]+)\/vmlinuz$/;

/**
 * Returns the labels of a tree that a machine can boot, by which bootc recognizes its image; none
 * without a kernel.
 */
export function bootLabels(files: Iterable<FileEntry>): Labels {
  const versions: string[] = [];
  for (const { path } of files) {
    const [, version] = KERNEL.exec(path) ?? [];
    if (version !== undefined) {
      versions.push(version);
    }
  }
  if (versions.length === 0) {
    return {};
  }
  const labels = {
    [annotation.CONTAINERS_BOOTC]: '1',
    [annotation.OSTREE_BOOTABLE]: 'true',
  };
  const [version, ...others] = versions;
  return others.length > 0 ? labels : { ...labels, [annotation.OSTREE_LINUX]: version };
}

function objectOrNothing(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}

/** Returns the `created_by` of the commit layer. */
export function commitDescription({ checksum, parsed }: LoadedCommit): string {
  return parsed.subject === '' ? `ostree export of commit ${checksum}` : parsed.subject;
}

/** Returns labels from the commit's metadata. Throws `NOT_FOUND` for a missing `copyMeta` key. */
export function commitLabels(
  { metadata }: Commit,
  options: Pick<ImageOptions, 'copyMeta' | 'copyMetaOptional'>,
): Record<string, string> {
  const labels = new Map<string, string>();
  /** Returns whether the commit has a string under `key`. */
  const copy = (key: string, label = key) => {
    const value = metadataValue(metadata, key, 's');
    if (typeof value !== 'string') {
      return false;
    }
    labels.set(label, value);
    return true;
  };

  for (const key of options.copyMeta ?? []) {
    if (!copy(key)) {
      throw new OstrataError('NOT_FOUND', `commit metadata has no key ${key} with a string value`);
    }
  }
  for (const key of [...(options.copyMetaOptional ?? []), INPUT_HASH, annotation.OSTREE_LINUX]) {
    copy(key);
  }
  copy('version', annotation.IMAGE_VERSION);

  const bootable = metadataValue(metadata, annotation.OSTREE_BOOTABLE, 'b');
  if (bootable !== undefined) {
    labels.set(annotation.OSTREE_BOOTABLE, String(bootable));
    labels.set(annotation.CONTAINERS_BOOTC, '1');
  }
  return Object.fromEntries(labels);
}
