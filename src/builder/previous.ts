/** The previous build: the layout that a new build follows, and the layers that it reuses. */
import { readFile } from 'node:fs/promises';
import { inContextAsync, must, OstrataError } from '../errors.js';
import {
  type DescribedImage,
  describeImage,
  holdsFiles,
  lacksCommitLayer,
  layoutRecord,
  namesByLayer,
  type ReadLayer,
} from '../image/encapsulated.js';
import { fingerprints, historyOf } from '../layout/history.js';
import type { LayoutRecord } from '../layout/previous-layout.js';
import { recordFromNames } from '../layout/record.js';
import type { Logger } from '../log.js';
import type { ImageReader } from '../oci/image.js';
import { type Descriptor, type Manifest, parseManifest } from '../oci/types.js';
import type { Component } from '../plugin.js';

/** A layer blob of the previous build. */
export interface PreviousLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

export interface PreviousBuild {
  /**
   * Whether its layers are those of a plain image, which no encapsulated image can reuse; undefined
   * if only a manifest is known.
   */
  readonly isPlain: boolean | undefined;
  /**
   * Returns the layout record of the build. If there is none, it is made from the component names
   * on the layers, which are matched with `components`.
   */
  recordFor(components: readonly Component[]): LayoutRecord;
  /** The image with the blobs; undefined if only a manifest is known. */
  readonly image?: ImageReader | undefined;
  /** Digests of its layers, which its clients have. */
  readonly layerDigests: ReadonlySet<string>;
  /**
   * Layers by layer key; empty unless ostrata made the image and its layers are unchanged since
   * then.
   */
  readonly byKey: ReadonlyMap<string, PreviousLayer>;
  readonly byDiffId: ReadonlyMap<string, PreviousLayer>;
}

/**
 * Reads the config and manifest of an image. If another tool made the image, its layout is taken
 * from the component names on its layers.
 */
export async function previousFromImage(image: ImageReader, log: Logger): Promise<PreviousBuild> {
  return previousBuildOf(image, await readPreviousImage(image, log), log);
}

interface PreviousImage {
  /** Undefined if manifest, config and labels contradict each other. */
  readonly isPlain: boolean | undefined;
  /** All but derived layers that another tool added. */
  readonly layers: readonly ReadLayer[];
  /** Component names, for each layer that holds components. */
  readonly names: readonly (readonly string[])[];
  readonly record: LayoutRecord | undefined;
}

function readPreviousImage(image: ImageReader, log: Logger): Promise<PreviousImage> {
  return inContextAsync(`previous build ${image.name}`, async () => {
    let described: DescribedImage;
    try {
      described = await describeImage(image, log);
    } catch (error) {
      return withoutLayers(image, error, log);
    }
    const { layers: allLayers, record } = described;
    // The layers above an encapsulated base are derived ones that have a record.
    const layers = allLayers.filter(
      ({ kind, recorded }) => kind !== 'derived' || recorded !== undefined,
    );
    const componentLayers = layers.filter(({ kind }) => kind !== 'commit');
    const names = componentLayers.map((layer) => layer.names);
    if (record === undefined) {
      warnAboutNames(image, names, log);
    }
    const isPlain = layers.some(holdsFiles);
    return { isPlain, layers, names, record };
  });
}

/**
 * Takes only the component names from an image whose manifest, config and labels contradict each
 * other: tools that lay images out anew keep labels about other layers, and a build must not fail
 * because of the image before it. Throws other errors.
 */
function withoutLayers(image: ImageReader, error: unknown, log: Logger): PreviousImage {
  if (!(error instanceof OstrataError && error.code === 'CORRUPT')) {
    throw error;
  }
  log.warn(`${image.name}: ${error.message}; none of its layers is reused`);
  const names = componentNames(image.manifest);
  warnAboutNames(image, names, log);
  return { isPlain: undefined, layers: [], names, record: undefined };
}

function warnAboutNames(
  { name }: ImageReader,
  names: readonly (readonly string[])[],
  log: Logger,
): void {
  const isNameless = names.every(({ length }) => length === 0);
  log.warn(
    isNameless
      ? `${name} says nothing about its components: the layout is planned anew`
      : `${name} was made by another tool: its layout is followed by component names`,
  );
}

/** Returns the component names of each layer but that of the commit. */
function componentNames(manifest: Manifest): readonly (readonly string[])[] {
  const allNames = namesByLayer(manifest);
  return lacksCommitLayer(allNames) ? allNames : allNames.slice(1);
}

function previousBuildOf(
  image: ImageReader,
  { isPlain, layers, names, record }: PreviousImage,
  log: Logger,
): PreviousBuild {
  const byKey = new Map<string, PreviousLayer>();
  const byDiffId = new Map<string, PreviousLayer>();
  for (const layer of layers) {
    byDiffId.set(layer.diffId, layer);
    if (layer.recorded?.key !== undefined) {
      byKey.set(layer.recorded.key, layer);
    }
  }
  const recordFor = (components: readonly Component[]) =>
    record ?? { ...recordFromNames(names, components, log), fromOtherTool: true };
  const layerDigests = digestsOf(image.manifest);
  return { isPlain, recordFor, image, layerDigests, byKey, byDiffId };
}

function digestsOf({ layers }: Manifest): ReadonlySet<string> {
  return new Set(layers.map(({ digest }) => digest));
}

/** Returns the components of an image whose record lacks their versions; reads its layers. */
type ReadComponents = (image: ImageReader) => Promise<readonly Component[]>;

/**
 * Returns the last of `images` as the build to follow. There must be at least one image; they are
 * ordered from the oldest to the newest. If the record of the last one counts no updates, the
 * others are its history: the versions of their components come from their records or, if another
 * tool made an image, from its content.
 */
export async function previousFromImages(
  images: readonly ImageReader[],
  readComponents: ReadComponents,
  log: Logger,
): Promise<PreviousBuild> {
  const last = must(images.at(-1), 'the previous build');
  const known = await readPreviousImage(last, log);
  const newest = previousBuildOf(last, known, log);
  const hasCountedUpdates = (known.record?.history?.size ?? 0) > 0;
  if (images.length === 1 || hasCountedUpdates) {
    return newest;
  }

  const records = [];
  for (const image of images) {
    const { record } = image === last ? known : await readPreviousImage(image, log);
    const hasVersions = record?.versions !== undefined && record.versions.size > 0;
    const versions = hasVersions ? record.versions : fingerprints(await readComponents(image));
    records.push({ versions, history: record?.history });
  }
  const versions = records.at(-1)?.versions;
  const history = historyOf(
    records.map((record) => record.versions),
    records[0]?.history,
  );
  return {
    ...newest,
    recordFor: (components) => ({ ...newest.recordFor(components), versions, history }),
  };
}

/**
 * Reads the file of `--previous-build-manifest`, an option that rpm-ostree has too. It gives a
 * layout, but no blobs.
 */
export async function previousFromManifest(path: string, log: Logger): Promise<PreviousBuild> {
  return inContextAsync(`previous build manifest ${path}`, async () => {
    const manifest = parseManifest(await readFile(path));
    const record = layoutRecord(manifest.annotations, log);
    const names = componentNames(manifest);
    return {
      isPlain: undefined,
      recordFor: (components) => record ?? recordFromNames(names, components, log),
      layerDigests: digestsOf(manifest),
      byKey: new Map(),
      byDiffId: new Map(),
    };
  });
}
