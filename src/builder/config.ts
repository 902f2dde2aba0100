/** The image's config and manifest, from the commit and the layers: labels, history and annotations as bootc expects them. */

import { compareUtf8 } from '../bytes/text.js';
import type { OwnedComponent } from '../components/assign.js';
import { OstrataError } from '../errors.js';
import * as annotation from '../oci/annotations.js';
import { canonicalJson, sha256Digest } from '../oci/json.js';
import { OCI_CONFIG, OCI_MANIFEST } from '../oci/media-types.js';
import type { Descriptor } from '../oci/types.js';
import { type Commit, metadataValue } from '../ostree/objects/commit.js';

/** What the user adds to an image. */
export interface ImageOptions {
  /** Labels, also manifest annotations. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The `config` member of an OCI image config to start from; its labels do not become annotations. */
  readonly imageConfig?: Readonly<Record<string, unknown>> | undefined;
  /** `Cmd`; else the commit's `ostree.container-cmd`. */
  readonly cmd?: readonly string[] | undefined;
  /** GOARCH. */
  readonly architecture: string;
  /** Commit metadata keys that become labels; one that is missing is an error. */
  readonly copyMeta?: readonly string[] | undefined;
  /** The same, where they are there. */
  readonly copyMetaOptional?: readonly string[] | undefined;
  /** Seconds since 1970 for `created`; else the commit's timestamp. */
  readonly created?: number | undefined;
}

/** A layer as it goes into the image. */
export interface ImageLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** `history.created_by`. */
  readonly createdBy: string;
}

/** Copied by default for cheap change detection, like rpm-ostree. */
const INPUT_HASH = 'rpmostree.inputhash';
const CONTAINER_CMD = 'ostree.container-cmd';
/** The last second that RFC 3339 can write, in seconds since 1970. */
const YEAR_9999 = 253_402_300_799;
/** From six components on a layer's history counts them. */
const MAX_NAMED = 5;

/** `ostree.components`: plain names, sorted, each once, joined by commas (one within a name is written %2C). */
export function componentsAnnotation(
  components: readonly OwnedComponent[],
): Readonly<Record<string, string>> {
  const names = [...new Set(components.map(({ name }) => name.replaceAll(',', '%2C')))];
  return { [annotation.OSTREE_COMPONENTS]: names.sort(compareUtf8).join(',') };
}

/** `created_by` of a chunk layer: NEVRAs (or ids, where there are no packages) of up to five components, else their number. */
export function createdBy(components: readonly OwnedComponent[]): string {
  if (components.length > MAX_NAMED) {
    return `${components.length} components`;
  }
  const identifiers = components.flatMap(({ id, facts }) =>
    facts.packages.length > 0 ? facts.packages.map(({ nevra }) => nevra) : [id],
  );
  return identifiers.sort(compareUtf8).join(' and ');
}

export interface AssembledImage {
  readonly config: Uint8Array;
  readonly manifest: Uint8Array;
  readonly configDigest: string;
  readonly manifestDigest: string;
  readonly platform: { readonly architecture: string; readonly os: string };
}

/** Config and manifest of an image of `layers`, the commit layer first. `generated` are labels that the user's win over. */
export function assembleImage(
  commit: { readonly checksum: string; readonly parsed: Commit },
  layers: readonly ImageLayer[],
  options: ImageOptions,
  generated: Readonly<Record<string, string>>,
): AssembledImage {
  const created = rfc3339(options.created ?? commit.parsed.timestamp);
  const labels = {
    ...generated,
    ...options.labels,
    // Clients take the first layer of this diff_id for the last of the commit.
    [annotation.OSTREE_FINAL_DIFFID]: (layers.at(-1) as ImageLayer).diffId,
    [annotation.OSTREE_COMMIT]: commit.checksum,
  };
  const platform = { architecture: options.architecture, os: 'linux' };
  const cmd =
    options.cmd ??
    (metadataValue(commit.parsed.metadata, CONTAINER_CMD, 'as') as string[] | undefined);
  const base = options.imageConfig ?? {};
  const config = canonicalJson({
    created,
    ...platform,
    config: {
      ...base,
      ...(cmd && { Cmd: cmd }),
      Labels: { ...(base.Labels as object | undefined), ...labels },
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map((layer) => ({ created, created_by: layer.createdBy })),
  });
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

/** @param seconds since 1970 */
function rfc3339(seconds: number): string {
  if (seconds > YEAR_9999) {
    throw new OstrataError(
      'UNSUPPORTED',
      `timestamp ${seconds}: an image config cannot tell of a year beyond 9999`,
    );
  }
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** `created_by` of the commit layer. */
export function commitDescription({
  checksum,
  parsed,
}: {
  checksum: string;
  parsed: Commit;
}): string {
  return parsed.subject === '' ? `ostree export of commit ${checksum}` : parsed.subject;
}

/** Labels from the commit's metadata; `NOT_FOUND` where a key to be copied is not there. */
export function commitLabels(
  { metadata }: Commit,
  { copyMeta = [], copyMetaOptional = [] }: Pick<ImageOptions, 'copyMeta' | 'copyMetaOptional'>,
): Record<string, string> {
  const labels: Record<string, string> = {};
  const copy = (key: string, label = key) => {
    const value = metadataValue(metadata, key, 's');
    if (value !== undefined) {
      labels[label] = value as string;
    }
    return value !== undefined;
  };
  for (const key of copyMeta) {
    if (!copy(key)) {
      throw new OstrataError('NOT_FOUND', `commit metadata has no key ${key} with a string value`);
    }
  }
  for (const key of [...copyMetaOptional, INPUT_HASH, annotation.OSTREE_LINUX]) {
    copy(key);
  }
  copy('version', annotation.IMAGE_VERSION);
  const bootable = metadataValue(metadata, annotation.OSTREE_BOOTABLE, 'b');
  if (bootable !== undefined) {
    labels[annotation.OSTREE_BOOTABLE] = String(bootable);
    labels[annotation.CONTAINERS_BOOTC] = '1';
  }
  return labels;
}
