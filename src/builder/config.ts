/**
 * Config and manifest of the image of a commit, with the labels, history and annotations that bootc
 * expects. Formats: https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md and
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md
 */
import { compareUtf8 } from '../bytes/text.js';
import type { OwnedComponent } from '../components/assign.js';
import { must, OstrataError } from '../errors.js';
import * as annotation from '../oci/annotations.js';
import { canonicalJson, sha256Digest } from '../oci/json.js';
import { OCI_CONFIG, OCI_MANIFEST } from '../oci/media-types.js';
import type { Descriptor } from '../oci/types.js';
import { type Commit, metadataValue } from '../ostree/objects/commit.js';
import type { Loaded } from '../ostree/repo.js';

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

/** {@link ImageOptions} with the architecture decided. */
interface ResolvedImageOptions extends ImageOptions {
  readonly architecture: string;
}

/** A layer as config and manifest list it. */
export interface ImageLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** `history.created_by`. */
  readonly createdBy: string;
}

export interface AssembledImage {
  readonly config: Uint8Array;
  readonly manifest: Uint8Array;
  readonly configDigest: string;
  readonly manifestDigest: string;
  readonly platform: { readonly architecture: string; readonly os: string };
}

type LoadedCommit = Pick<Loaded<Commit>, 'checksum' | 'parsed'>;

/** rpm-ostree copies this key too: equal hashes mean that nothing has to be rebuilt. */
const INPUT_HASH = 'rpmostree.inputhash';
const CONTAINER_CMD = 'ostree.container-cmd';
/** The last second that RFC 3339 can express, in seconds since 1970. */
const YEAR_9999 = 253_402_300_799;
/** The history of a layer with more components only counts them. */
const MAX_NAMED_COMPONENTS = 5;

/**
 * Builds config and manifest. Throws `UNSUPPORTED` for a time after the year 9999.
 * @param layers the commit layer first
 * @param generated labels that those of the user override; undefined values are left out
 */
export function assembleImage(
  commit: LoadedCommit,
  layers: readonly ImageLayer[],
  options: ResolvedImageOptions,
  generated: Readonly<Record<string, string | undefined>>,
): AssembledImage {
  const lastLayer = must(layers.at(-1), 'the commit layer');
  const labels = {
    ...generated,
    ...options.labels,
    // Clients take the layers after this one for derived layers.
    [annotation.OSTREE_FINAL_DIFFID]: lastLayer.diffId,
    [annotation.OSTREE_COMMIT]: commit.checksum,
  };
  const platform = { architecture: options.architecture, os: 'linux' };

  const config = encodeConfig(commit.parsed, layers, options, { platform, labels });
  const configDigest = sha256Digest(config);
  const manifest = canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: configDigest, size: config.length },
    layers: layers.map(({ descriptor }) => descriptor),
    annotations: labels,
  });
  return { config, manifest, configDigest, manifestDigest: sha256Digest(manifest), platform };
}

function encodeConfig(
  commit: Commit,
  layers: readonly ImageLayer[],
  options: ImageOptions,
  common: { readonly platform: object; readonly labels: object },
): Uint8Array {
  const base = options.imageConfig ?? {};
  const commitCmd = metadataValue(commit.metadata, CONTAINER_CMD, 'as');
  const created = rfc3339(options.created ?? commit.timestamp);
  return canonicalJson({
    created,
    ...common.platform,
    config: {
      ...base,
      Cmd: options.cmd ?? commitCmd ?? base.Cmd,
      Labels: { ...objectOrNothing(base.Labels), ...common.labels },
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map((layer) => ({ created, created_by: layer.createdBy })),
  });
}

function objectOrNothing(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}

/** @param seconds since 1970 */
function rfc3339(seconds: number): string {
  if (seconds > YEAR_9999) {
    throw new OstrataError(
      'UNSUPPORTED',
      `timestamp ${seconds}: an image config cannot express times after ${YEAR_9999} (year 9999)`,
    );
  }
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** Returns the `created_by` of the commit layer. */
export function commitDescription({ checksum, parsed }: LoadedCommit): string {
  return parsed.subject === '' ? `ostree export of commit ${checksum}` : parsed.subject;
}

/**
 * Returns the `created_by` of a chunk layer: the NEVRAs of up to five components (ids, where a
 * component has no packages), else their number.
 */
export function createdBy(components: readonly OwnedComponent[]): string {
  if (components.length > MAX_NAMED_COMPONENTS) {
    return `${components.length} components`;
  }
  const identifiers = components.flatMap(({ id, facts }) =>
    facts.packages.length > 0 ? facts.packages.map(({ nevra }) => nevra) : [id],
  );
  return identifiers.sort(compareUtf8).join(' and ');
}

/**
 * Returns the annotations of a chunk layer: `ostree.components` lists the names of its components,
 * sorted, each once, joined by commas. A comma within a name is written as %2C.
 */
export function componentsAnnotation(
  components: readonly OwnedComponent[],
): Readonly<Record<string, string>> {
  const names = new Set(components.map(({ name }) => name.replaceAll(',', '%2C')));
  return { [annotation.OSTREE_COMPONENTS]: [...names].sort(compareUtf8).join(',') };
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
