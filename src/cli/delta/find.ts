/** Looks for the delta that leads from one image to another, beside the other one. */
import { withoutVerification } from '../../client/verify/ostree-image-reference.js';
import { DELTA_TYPE, type Delta, listDeltas, readDelta } from '../../delta/artifact.js';
import { heldLayers } from '../../delta/contents.js';
import { messageOf } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import type { Descriptor } from '../../oci/types.js';
import { openImage } from '../../transports/image-reference.js';
import { imageOpener, type RegistryOptions, transportOptions } from '../options/registry.js';

/** What a client downloads with a delta. */
export interface FoundDelta {
  readonly manifestDigest: string;
  /** Bytes of its layers. */
  readonly size: number;
}

export interface DeltaOpener {
  /** Opens the image that the delta leads to. */
  openTarget(): Promise<ImageReader>;
  /** Opens an artifact beside that image. */
  openArtifact(manifest: Descriptor): Promise<ImageReader>;
}

/**
 * Returns the opener for an image and what lies beside it.
 * @param imgrefs all images that the command names
 */
export function deltaOpener(
  imgref: string,
  imgrefs: readonly string[],
  options: RegistryOptions,
  log: Logger,
): DeltaOpener {
  const beside = withoutVerification(imgref);
  const open = imageOpener(options, imgrefs, log);
  const optionsFor = transportOptions(options, imgrefs, log);
  return {
    openTarget: () => open(imgref),
    openArtifact: (manifest) => {
      const artifact = { manifest, artifactType: DELTA_TYPE };
      return openImage(beside, { ...optionsFor(beside), ...artifact });
    },
  };
}

/**
 * Returns the smallest delta for clients with the config `sourceConfig`; undefined if there is
 * none, and after a warning if that cannot be found out.
 */
export async function findDelta(
  sourceConfig: string,
  opener: DeltaOpener,
  log: Logger,
): Promise<FoundDelta | undefined> {
  try {
    const deltas: FoundDelta[] = [];
    for (const descriptor of await listFitting(sourceConfig, opener)) {
      deltas.push(await readFound(descriptor, opener));
    }
    return deltas.toSorted((a, b) => a.size - b.size)[0];
  } catch (error) {
    log.warn(`deltas are left out: ${messageOf(error)}`);
    return undefined;
  }
}

async function listFitting(
  sourceConfig: string,
  { openTarget }: DeltaOpener,
): Promise<readonly Descriptor[]> {
  const image = await openTarget();
  try {
    return await listDeltas(image, (config) => config === sourceConfig);
  } finally {
    await image.close?.();
  }
}

async function readFound(descriptor: Descriptor, opener: DeltaOpener): Promise<FoundDelta> {
  const artifact = await opener.openArtifact(descriptor);
  try {
    const delta = await readDelta(artifact);
    return { manifestDigest: delta.digest, size: deltaSizes(delta).size };
  } finally {
    await artifact.close?.();
  }
}

/** Returns the bytes of the layers of a delta, and of the layers that they stand for. */
export function deltaSizes(delta: Delta): {
  readonly size: number;
  readonly layersSize: number;
} {
  let size = 0;
  let layersSize = 0;
  for (const { blob, descriptor } of heldLayers(delta)) {
    size += blob.size;
    layersSize += descriptor.size;
  }
  return { size, layersSize };
}
