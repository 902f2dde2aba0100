/**
 * Image references that say how the image is verified, as rpm-ostree and bootc write them:
 *   ostree-unverified-image:TRANSPORT:...          ostree-unverified-registry:IMAGE
 *   ostree-remote-image:REMOTE:TRANSPORT:...       ostree-remote-registry:REMOTE:IMAGE
 *   ostree-image-signed:TRANSPORT:...
 */
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

/** The forms of these references, for messages and help. */
export const OSTREE_IMGREF_FORMS =
  'ostree-unverified-image:TRANSPORT:..., ostree-unverified-registry:IMAGE, ' +
  'ostree-remote-image:REMOTE:TRANSPORT:..., ostree-remote-registry:REMOTE:IMAGE ' +
  'or ostree-image-signed:TRANSPORT:...';

/** Splits a reference and does no I/O. Throws `USAGE` unless the reference has one of the forms. */
export function parseOstreeImgref(text: string): OstreeImgref {
  const [scheme, image] = splitAtColon(text, text);
  switch (scheme) {
    case 'ostree-unverified-image':
      return { verification: { kind: 'none' }, imgref: image };
    case 'ostree-unverified-registry':
      return { verification: { kind: 'none' }, imgref: `registry:${image}` };
    case 'ostree-image-signed':
      return { verification: { kind: 'policy' }, imgref: image };
    case 'ostree-remote-image': {
      const [remote, imgref] = splitAtColon(image, text);
      return { verification: { kind: 'remote', remote }, imgref };
    }
    case 'ostree-remote-registry': {
      const [remote, location] = splitAtColon(image, text);
      return { verification: { kind: 'remote', remote }, imgref: `registry:${location}` };
    }
    default:
      throw unknownForm(text);
  }
}

/** The form of a reference in refs and lists, where `registry:` is `docker://`. */
export function canonicalImgref(imgref: string): string {
  return imgref.replace(/^registry:(\/\/)?/, 'docker://');
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
    `image reference ${JSON.stringify(reference)}: expected ${OSTREE_IMGREF_FORMS}`,
  );
}
