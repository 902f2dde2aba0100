/** The previous build: its layout to keep to, and its layers to take over. */
import { readFile } from 'node:fs/promises';
import { inContextAsync } from '../errors.js';
import {
  lacksCommitLayer,
  layoutRecord,
  namesByLayer,
  type ReadLayer,
  readEncapsulated,
} from '../image/encapsulated.js';
import { fingerprints, historyOf, type LayoutRecord } from '../layout/prior.js';
import { priorFromNames } from '../layout/record.js';
import type { Logger } from '../log.js';
import type { ImageReader } from '../oci/image.js';
import { type Descriptor, parseConfig, parseManifest } from '../oci/types.js';
import type { Component } from '../plugin.js';

/** A layer blob of the previous build. */
export interface PreviousLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

export interface PreviousBuild {
  /** Its layout in terms of the new build's components. */
  prior(components: readonly Component[]): LayoutRecord;
  /** Where its blobs are; undefined if only a manifest is known. */
  readonly image?: ImageReader | undefined;
  /** Layers by layerKey; empty unless this tool made the image and nobody changed its layers since. */
  readonly byKey: ReadonlyMap<string, PreviousLayer>;
  readonly byDiffId: ReadonlyMap<string, PreviousLayer>;
}

/** Everything a whole image tells. An image of another tool is no obstacle: its layout is known by names. */
export async function previousFromImage(image: ImageReader, log: Logger): Promise<PreviousBuild> {
  return previousOf(image, await readKnown(image, log), log);
}

interface KnownImage {
  /** Those that hold the commit; none of an image without one. */
  readonly layers: readonly ReadLayer[];
  /** Of each layer that holds components. */
  readonly names: readonly (readonly string[])[];
  readonly record: LayoutRecord | undefined;
}

function readKnown(image: ImageReader, log: Logger): Promise<KnownImage> {
  return inContextAsync(`previous build ${image.name}`, async () => {
    const names = namesByLayer(image.manifest, parseConfig(await image.config()));
    if (lacksCommitLayer(names)) {
      log.warn(
        `${image.name} holds no ostree commit: its layout is known by names, its layers are not taken over`,
      );
      return { layers: [], names, record: undefined };
    }
    const { layers, record } = await readEncapsulated(image, log);
    const own = layers.filter(({ kind }) => kind !== 'derived');
    return { layers: own, names: names.slice(1, own.length), record };
  });
}

function previousOf(
  image: ImageReader,
  { layers, names, record }: KnownImage,
  log: Logger,
): PreviousBuild {
  return {
    prior: (components) =>
      record ?? { ...priorFromNames(names, components, log), fromOtherTool: true },
    image,
    byKey: new Map(
      layers.flatMap((layer) =>
        layer.recorded?.key === undefined ? [] : [[layer.recorded.key, layer]],
      ),
    ),
    byDiffId: new Map(layers.map((layer) => [layer.diffId, layer])),
  };
}

/** The components of an image whose record does not tell their versions; reads its layers. */
export type ReadComponents = (image: ImageReader) => Promise<readonly Component[]>;

/**
 * The newest of `images`, the last, is the build to follow. Where its record counts no updates, the older ones are its
 * history: versions come from each image's record or, where it has none (another tool made it), from its content.
 */
export async function previousFromImages(
  images: readonly ImageReader[],
  readComponents: ReadComponents,
  log: Logger,
): Promise<PreviousBuild> {
  const last = images.at(-1) as ImageReader;
  const known = await readKnown(last, log);
  const newest = previousOf(last, known, log);
  if (images.length === 1 || (known.record?.history?.size ?? 0) > 0) {
    return newest;
  }
  const records = [];
  for (const image of images) {
    const { record } = image === last ? known : await readKnown(image, log);
    const versions = record?.versions?.size
      ? record.versions
      : fingerprints(await readComponents(image));
    records.push({ versions, history: record?.history });
  }
  const versions = records.at(-1)?.versions ?? new Map();
  const history = historyOf(
    records.map((record) => record.versions),
    records[0]?.history,
  );
  return { ...newest, prior: (components) => ({ ...newest.prior(components), versions, history }) };
}

/** A manifest file (as rpm-ostree takes it): only the layout is known. */
export async function previousFromManifest(path: string, log: Logger): Promise<PreviousBuild> {
  return inContextAsync(`previous build manifest ${path}`, async () => {
    const manifest = parseManifest(await readFile(path));
    const record = layoutRecord(manifest.annotations, log);
    const names = namesByLayer(manifest);
    return {
      prior: (components) =>
        record ?? priorFromNames(lacksCommitLayer(names) ? names : names.slice(1), components, log),
      byKey: new Map(),
      byDiffId: new Map(),
    };
  });
}
