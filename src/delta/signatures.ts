/**
 * The signatures of an image that a delta to it carries, as cosign stores them: manifests whose
 * layers are what was signed.
 * https://github.com/sigstore/cosign/blob/v2.4.0/specs/SIGNATURE_SPEC.md#storage
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageReader } from '../oci/image.js';
import { OCI_CONFIG } from '../oci/media-types.js';
import { type Manifest, parseAnyManifest } from '../oci/types.js';
import type { ImageWriter } from '../transports/transport.js';
import { type Delta, manifestDescriptor, readDocument } from './artifact.js';

/** The type of a signature that is found by its tag: its config is that of an image. */
export const TAGGED_SIGNATURE = OCI_CONFIG;
/** The type of a signature that is found by the image that it refers to. */
export const REFERRING_SIGNATURE = 'application/vnd.dev.cosign.artifact.sig.v1+json';
const PAYLOAD = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** Returns the tag that the signatures of an image have in its repository. */
export function signatureTag(manifestDigest: string): string {
  return `${manifestDigest.replace(':', '-')}.sig`;
}

/** Whether a manifest is that of a signature. */
export function isSignature({ layers }: Manifest): boolean {
  return layers.length > 0 && layers.every(({ mediaType }) => mediaType === PAYLOAD);
}

/** Adds a signature with all its blobs to a delta. */
export async function addSignature(writer: ImageWriter, signature: ImageReader): Promise<void> {
  const { manifest, manifestBytes, manifestDigest } = signature;
  const file = join(writer.stagingDirectory, manifestDigest.replace(':', '-'));
  await writeFile(file, manifestBytes);
  await writer.addBlob(file, manifestDescriptor(signature));
  for (const blob of [manifest.config, ...manifest.layers]) {
    await writer.mountBlob(blob, signature);
  }
}

/** A signature that a delta carries. */
export interface CarriedSignature {
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  /** Whether it is found by the image that it refers to, and not by its tag. */
  readonly isReferring: boolean;
}

/**
 * Reads the signatures that a delta carries. Nobody has verified them.
 * @param image the delta
 */
export async function readSignatures(
  image: ImageReader,
  { signatures }: Delta,
): Promise<readonly CarriedSignature[]> {
  const read: CarriedSignature[] = [];
  for (const descriptor of signatures) {
    const manifestBytes = await readDocument(image, descriptor);
    const manifest = parseAnyManifest(manifestBytes);
    read.push({ manifestBytes, manifest, isReferring: manifest.subject !== undefined });
  }
  return read;
}

/**
 * Writes a signature that a delta carries to where the image is, and commits it.
 * @param image the delta
 */
export async function writeSignature(
  image: ImageReader,
  { manifest, manifestBytes }: CarriedSignature,
  writer: ImageWriter,
): Promise<void> {
  const config = await readDocument(image, manifest.config);
  for (const layer of manifest.layers) {
    await writer.mountBlob(layer, image);
  }
  await writer.commit({ config, manifest: manifestBytes, platform: undefined });
}
