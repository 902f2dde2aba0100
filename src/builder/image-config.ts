/**
 * Config and manifest of an image, whatever its layers hold. Formats:
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md and
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md
 */
import { compareUtf8 } from '../bytes/text.js';
import type { PlannedComponent } from '../components/assign.js';
import { OstrataError } from '../errors.js';
import * as annotation from '../oci/annotations.js';
import { canonicalJson, sha256Digest } from '../oci/json.js';
import { OCI_CONFIG, OCI_MANIFEST } from '../oci/media-types.js';
import type { Descriptor, HistoryEntry, Platform } from '../oci/types.js';
import type { BaseImage } from '../tree/kept-base.js';

export type Labels = Readonly<Record<string, string | undefined>>;

/** What an image says about itself, besides its layers. */
export interface ImageDescription {
  /** Seconds since 1970. */
  readonly created: number;
  /** GOARCH. */
  readonly architecture: string;
  readonly variant?: string | undefined;
  /** GOOS; linux by default. */
  readonly os?: string | undefined;
  readonly osVersion?: string | undefined;
  readonly osFeatures?: readonly string[] | undefined;
  readonly author?: string | undefined;
  /** Entries without a layer, which come before those of the layers. */
  readonly history?: readonly HistoryEntry[] | undefined;
  /** The `config` member of the config, without labels. */
  readonly config: Readonly<Record<string, unknown>>;
  /**
   * Returns the labels and the manifest annotations; undefined values are left out.
   * @param record text of the layout record
   */
  readonly labels: (
    layers: readonly ImageLayer[],
    record: string | undefined,
  ) => { readonly labels: Labels; readonly annotations: Labels };
}

/** A layer as config and manifest list it. */
export interface ImageLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** `history.author`. */
  readonly author?: string | undefined;
  /** `history.created_by`. */
  readonly createdBy: string;
  /** `history.comment`. */
  readonly comment?: string | undefined;
}

export interface AssembledImage {
  readonly config: Uint8Array;
  readonly manifest: Uint8Array;
  readonly configDigest: string;
  readonly manifestDigest: string;
  readonly platform: Platform;
}

/** The last second that RFC 3339 can express, in seconds since 1970. */
const YEAR_9999 = 253_402_300_799;
/** The history of a layer with more components only counts them. */
const MAX_NAMED_COMPONENTS = 5;

/**
 * Builds config and manifest. Throws `UNSUPPORTED` for a time after the year 9999.
 * @param layers those above the layers of `base`
 */
export function assembleImage(
  description: ImageDescription,
  layers: readonly ImageLayer[],
  record: string | undefined,
  base: Pick<BaseImage, 'layers' | 'history'> = { layers: [], history: [] },
): AssembledImage {
  const allLayers = [...base.layers, ...layers];
  const { architecture, variant, os = 'linux', osVersion, osFeatures, author } = description;
  const platform = {
    architecture,
    variant,
    os,
    'os.version': osVersion,
    'os.features': osFeatures?.slice(),
  };
  const { labels, annotations } = description.labels(layers, record);
  const created = rfc3339(description.created);
  const history = layers.map(({ author, createdBy, comment }) => ({
    created,
    author,
    created_by: createdBy,
    comment,
  }));
  const config = canonicalJson({
    created,
    author,
    ...platform,
    config: { ...description.config, Labels: labels },
    rootfs: { type: 'layers', diff_ids: allLayers.map(({ diffId }) => diffId) },
    history: [...base.history, ...(description.history ?? []), ...history],
  });
  const configDigest = sha256Digest(config);
  const manifest = canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: configDigest, size: config.length },
    layers: allLayers.map(({ descriptor }) => descriptor),
    annotations,
  });
  return { config, manifest, configDigest, manifestDigest: sha256Digest(manifest), platform };
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

/**
 * Returns the `created_by` of a chunk layer: the NEVRAs of up to five components (ids, where a
 * component has no packages), else their number.
 */
export function createdBy(components: readonly PlannedComponent[]): string {
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
  components: readonly PlannedComponent[],
): Readonly<Record<string, string>> {
  const names = new Set(components.map(({ name }) => name.replaceAll(',', '%2C')));
  return { [annotation.OSTREE_COMPONENTS]: [...names].sort(compareUtf8).join(',') };
}
