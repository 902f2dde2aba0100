/** The signatures of images: where deltas take them from, and where they put them back. */
import type { AppliedDelta } from '../../delta/apply.js';
import type { Delta } from '../../delta/artifact.js';
import {
  type CarriedSignature,
  isSignature,
  REFERRING_SIGNATURE,
  readSignatures,
  signatureTag,
  TAGGED_SIGNATURE,
  writeSignature,
} from '../../delta/signatures.js';
import { isNotFound, messageOf } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import {
  checkHoldsArtifacts,
  createArtifact,
  createImage,
  namedBeside,
  openImage,
} from '../../transports/image-reference.js';
import type { ImageWriter, TransportOptions } from '../../transports/transport.js';
import { counted } from '../output/format.js';

/** Opens the signatures of an image, which its registry or layout has beside it. */
export async function openSignatures(
  imgref: string,
  image: ImageReader,
  options: TransportOptions,
): Promise<readonly ImageReader[]> {
  const tagged = await openTagged(imgref, image, options);
  const found = tagged === undefined ? [] : [tagged];
  try {
    for (const manifest of (await image.referrers?.(REFERRING_SIGNATURE)) ?? []) {
      found.push(
        await openImage(imgref, { ...options, manifest, artifactType: REFERRING_SIGNATURE }),
      );
    }
  } catch (error) {
    await closeAll(found);
    throw error;
  }
  await closeAll(found.filter(({ manifest }) => !isSignature(manifest)));
  return found.filter(({ manifest }) => isSignature(manifest));
}

async function closeAll(images: readonly ImageReader[]): Promise<void> {
  for (const image of images) {
    await image.close?.();
  }
}

async function openTagged(
  imgref: string,
  { manifestDigest }: ImageReader,
  options: TransportOptions,
): Promise<ImageReader | undefined> {
  const reference = namedBeside(imgref, signatureTag(manifestDigest));
  if (reference === undefined) {
    return undefined;
  }
  try {
    return await openImage(reference, { ...options, artifactType: TAGGED_SIGNATURE });
  } catch (error) {
    if (isNotFound(error)) {
      return undefined;
    }
    throw error;
  }
}

export interface RestoreOptions {
  /** Where the image was written. */
  readonly out: string;
  readonly transport: TransportOptions;
  readonly log: Logger;
}

/**
 * Puts the signatures that a delta carries beside the image that was rebuilt from it. Another
 * manifest than that of the target has not been signed.
 */
export async function restoreSignatures(
  image: ImageReader,
  delta: Delta,
  { isTarget }: Pick<AppliedDelta, 'isTarget'>,
  { out, transport, log }: RestoreOptions,
): Promise<void> {
  const signatures = await readSignatures(image, delta);
  if (signatures.length === 0) {
    return;
  }
  const fault = isTarget ? faultOf(out) : 'the layers have other bytes, so the manifest is another';
  if (fault !== undefined) {
    log.warn(`without ${counted(signatures.length, 'signature')} of the image: ${fault}`);
    return;
  }
  const tagged = namedBeside(out, signatureTag(delta.target.manifestDigest));
  const createWriter = ({ isReferring }: CarriedSignature): Promise<ImageWriter> =>
    isReferring || tagged === undefined
      ? createArtifact(out, transport)
      : createImage(tagged, transport);
  for (const signature of signatures) {
    const writer = await createWriter(signature);
    try {
      await writeSignature(image, signature, writer);
    } finally {
      await writer.discard();
    }
  }
}

/** Returns why there can be no signature beside an image; undefined if there can be one. */
function faultOf(out: string): string | undefined {
  try {
    checkHoldsArtifacts(out);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
