/**
 * Image references that say how the image is verified, as rpm-ostree and bootc write them:
 *   ostree-unverified-image:TRANSPORT:...          ostree-unverified-registry:IMAGE
 *   ostree-remote-image:REMOTE:TRANSPORT:...       ostree-remote-registry:REMOTE:IMAGE
 *   ostree-image-signed:TRANSPORT:...
 * A reference without such a prefix, as lists print it, is verified by its digests only.
 */
import { didYouMean } from '../../bytes/nearest.js';
import { OstrataError } from '../../errors.js';

export type Verification =
  /** Digests only. */
  | { readonly kind: 'none' }
  /** The host's signature policy, containers-policy.json(5), accepts the image. */
  | { readonly kind: 'policy' }
  /** Keys of a remote in the repository's configuration signed the commit. */
  | { readonly kind: 'remote'; readonly remote: string };

export interface OstreeImgref {
  readonly verification: Verification;
  /** `TRANSPORT:LOCATION`. */
  readonly imgref: string;
}

const UNVERIFIED_IMAGE = 'ostree-unverified-image';
const UNVERIFIED_REGISTRY = 'ostree-unverified-registry';
const REMOTE_IMAGE = 'ostree-remote-image';
const REMOTE_REGISTRY = 'ostree-remote-registry';
const IMAGE_SIGNED = 'ostree-image-signed';
const SCHEMES = [
  UNVERIFIED_IMAGE,
  UNVERIFIED_REGISTRY,
  REMOTE_IMAGE,
  REMOTE_REGISTRY,
  IMAGE_SIGNED,
];

/** The forms of these references, for messages and help. */
export const OSTREE_IMGREF_FORMS =
  `${UNVERIFIED_IMAGE}:TRANSPORT:..., ${UNVERIFIED_REGISTRY}:IMAGE, ` +
  `${REMOTE_IMAGE}:REMOTE:TRANSPORT:..., ${REMOTE_REGISTRY}:REMOTE:IMAGE, ` +
  `${IMAGE_SIGNED}:TRANSPORT:... or TRANSPORT:...`;

/** Whether the reference says how the image is verified. */
export function saysVerification(reference: string): boolean {
  return reference.startsWith('ostree-');
}

/**
 * Splits a reference and does no I/O. One that does not say how the image is verified is the same
 * as `ostree-unverified-image:`. Throws `USAGE` for an unknown prefix `ostree-...`.
 */
export function parseOstreeImgref(text: string): OstreeImgref {
  if (!saysVerification(text)) {
    return { verification: { kind: 'none' }, imgref: text };
  }
  const [scheme, image] = splitAtColon(text, text);
  switch (scheme) {
    case UNVERIFIED_IMAGE:
      return { verification: { kind: 'none' }, imgref: image };
    case UNVERIFIED_REGISTRY:
      return { verification: { kind: 'none' }, imgref: `registry:${image}` };
    case IMAGE_SIGNED:
      return { verification: { kind: 'policy' }, imgref: image };
    case REMOTE_IMAGE: {
      const [remote, imgref] = splitAtColon(image, text);
      return { verification: { kind: 'remote', remote }, imgref };
    }
    case REMOTE_REGISTRY: {
      const [remote, location] = splitAtColon(image, text);
      return { verification: { kind: 'remote', remote }, imgref: `registry:${location}` };
    }
    default:
      throw unknownForm(text);
  }
}

/** Returns a reference without the prefix that says how a client verifies the image. */
export function withoutVerification(reference: string): string {
  return parseOstreeImgref(reference).imgref;
}

/**
 * Returns the form of a reference in refs and lists: without the prefix that says how the image is
 * verified, and with `docker://` instead of `registry:`.
 */
export function canonicalImgref(reference: string): string {
  return withoutVerification(reference).replace(/^registry:(\/\/)?/, 'docker://');
}

/** @param reference the whole reference, for the message */
function splitAtColon(text: string, reference: string): [string, string] {
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1) {
    throw unknownForm(reference);
  }
  return [text.slice(0, colon), text.slice(colon + 1)];
}

function unknownForm(reference: string): OstrataError {
  return new OstrataError(
    'USAGE',
    `image reference ${JSON.stringify(reference)}: expected ${OSTREE_IMGREF_FORMS}` +
      didYouMean(reference.split(':', 1)[0] ?? '', SCHEMES),
  );
}
