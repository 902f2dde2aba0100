/**
 * Image references with the way their content is verified, as rpm-ostree and bootc write them:
 *   ostree-unverified-image:TRANSPORT:...          ostree-unverified-registry:IMAGE
 *   ostree-remote-image:REMOTE:TRANSPORT:...       ostree-remote-registry:REMOTE:IMAGE
 *   ostree-image-signed:TRANSPORT:...
 */
import { OstrataError } from '../../errors.js';

export type Verification =
  | { readonly kind: 'none' }
  /** The host's containers policy, containers-policy.json(5). */
  | { readonly kind: 'policy' }
  /** Keys of a remote in the repository's configuration sign the commit. */
  | { readonly kind: 'remote'; readonly remote: string };

export interface OstreeImgref {
  readonly verification: Verification;
  /** `TRANSPORT:REST`. */
  readonly imgref: string;
}

/** The forms of these references, for messages and help. */
export const OSTREE_IMGREF_FORMS =
  'ostree-unverified-image:TRANSPORT:..., ostree-unverified-registry:IMAGE, ostree-remote-image:REMOTE:TRANSPORT:..., ' +
  'ostree-remote-registry:REMOTE:IMAGE or ostree-image-signed:TRANSPORT:...';

export function parseOstreeImgref(text: string): OstreeImgref {
  const [scheme, rest] = cut(text, text);
  switch (scheme) {
    case 'ostree-unverified-image':
      return { verification: { kind: 'none' }, imgref: rest };
    case 'ostree-unverified-registry':
      return { verification: { kind: 'none' }, imgref: `registry:${rest}` };
    case 'ostree-image-signed':
      return { verification: { kind: 'policy' }, imgref: rest };
    case 'ostree-remote-image':
    case 'ostree-remote-registry': {
      const [remote, image] = cut(rest, text);
      const imgref = scheme === 'ostree-remote-image' ? image : `registry:${image}`;
      return { verification: { kind: 'remote', remote }, imgref };
    }
  }
  throw new OstrataError(
    'USAGE',
    `image reference ${JSON.stringify(text)}: expected ${OSTREE_IMGREF_FORMS}`,
  );
}

/** The form in which refs and lists name an image: `registry:` is `docker://` there. */
export function canonicalImgref(imgref: string): string {
  return imgref.replace(/^registry:(\/\/)?/, 'docker://');
}

function cut(text: string, whole: string): [string, string] {
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1) {
    throw new OstrataError(
      'USAGE',
      `image reference ${JSON.stringify(whole)}: expected ${OSTREE_IMGREF_FORMS}`,
    );
  }
  return [text.slice(0, colon), text.slice(colon + 1)];
}
