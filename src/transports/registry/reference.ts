/**
 * Names of images in registries, `HOST[:PORT]/PATH[:TAG][@DIGEST]`, as containers and Docker read them:
 * https://github.com/distribution/reference/blob/v0.6.0/reference.go
 */
import { OstrataError } from '../../errors.js';

export interface ImageReference {
  /** `HOST[:PORT]` as credentials and certificates are kept for it. */
  readonly host: string;
  /** Lower case path components, `/` between them. */
  readonly repository: string;
  /** Not set where a digest is. */
  readonly tag?: string | undefined;
  readonly digest?: string | undefined;
}

const DEFAULT_HOST = 'docker.io';
/** Where the images without a path of Docker Hub are. */
const DEFAULT_NAMESPACE = 'library';
const DEFAULT_TAG = 'latest';
/** Of host and path together. */
const MAX_NAME_LENGTH = 255;

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?$`);
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[\w][\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** `USAGE`, naming the part, for what is no such name. Without tag and digest it is `latest`. */
export function parseReference(text: string): ImageReference {
  const refuse = (rule: string) =>
    new OstrataError(
      'USAGE',
      `image reference ${JSON.stringify(text)}: expected HOST[:PORT]/PATH[:TAG], ${rule}`,
    );
  const at = text.indexOf('@');
  const [named, digest] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
  if (digest !== undefined && !DIGEST.test(digest)) {
    throw refuse('after @ sha256: and 64 hex digits');
  }
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const [name, tag] =
    colon < 0 ? [named, undefined] : [named.slice(0, colon), named.slice(colon + 1)];
  if (tag !== undefined && !TAG.test(tag)) {
    throw refuse('the tag of up to 128 letters, digits, _, . and -');
  }
  const { host, repository } = splitHost(name);
  if (!HOST.test(host)) {
    throw refuse(`${JSON.stringify(host)} is no host`);
  }
  if (!REPOSITORY.test(repository)) {
    throw refuse('the path of lower case letters, digits and single . _ or -');
  }
  if (name.length > MAX_NAME_LENGTH) {
    throw refuse(`of at most ${MAX_NAME_LENGTH} characters`);
  }
  return digest === undefined
    ? { host, repository, tag: tag ?? DEFAULT_TAG }
    : { host, repository, digest };
}

/** A first component that cannot be part of a path is the host; else it is an image of Docker Hub. */
function splitHost(name: string): { readonly host: string; readonly repository: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hasHost = /[.:\]]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const host = hasHost ? first.replace(/^index\.docker\.io$/, DEFAULT_HOST) : DEFAULT_HOST;
  const path = hasHost ? name.slice(slash + 1) : name;
  const isShort = host === DEFAULT_HOST && !path.includes('/');
  return { host, repository: isShort ? `${DEFAULT_NAMESPACE}/${path}` : path };
}

/** The host that answers for `host`. */
export function apiHost(host: string): string {
  return host === DEFAULT_HOST ? 'registry-1.docker.io' : host;
}
