/**
 * Names of images in registries, `HOST[:PORT]/PATH[:TAG][@DIGEST]`, as podman and Docker read them:
 * https://github.com/distribution/reference/blob/v0.6.0/reference.go
 */
import { OstrataError } from '../../errors.js';

/** Has either a tag or a digest. */
export interface ImageReference {
  /** `HOST[:PORT]`, the key of credentials and certificates. */
  readonly host: string;
  /** Lower-case path components, separated by `/`. */
  readonly repository: string;
  readonly tag?: string | undefined;
  readonly digest?: string | undefined;
}

/** Docker Hub. */
const DEFAULT_HOST = 'docker.io';
/** The server that implements the registry API of Docker Hub. */
const DEFAULT_API_HOST = 'registry-1.docker.io';
/** The namespace of Docker Hub for images without a path. */
const DEFAULT_NAMESPACE = 'library';
const DEFAULT_TAG = 'latest';
/** Limit for host and path together, in characters. */
const MAX_NAME_LENGTH = 255;

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?$`);
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[\w][\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Parses the name of an image. Without tag and digest, the tag is `latest`; a tag before a digest
 * is ignored. Throws `USAGE`, naming the part that is wrong.
 */
export function parseReference(text: string): ImageReference {
  const refuse = (rule: string) =>
    new OstrataError(
      'USAGE',
      `image reference ${JSON.stringify(text)}: expected HOST[:PORT]/PATH[:TAG], ${rule}`,
    );

  const { name, tag, digest } = splitReference(text);
  if (digest !== undefined && !DIGEST.test(digest)) {
    throw refuse('after @ sha256: and 64 hex digits');
  }
  if (tag !== undefined && !TAG.test(tag)) {
    throw refuse('the tag of up to 128 letters, digits, _, . and -');
  }

  const { host, repository } = splitHost(name);
  if (!HOST.test(host)) {
    throw refuse(`${JSON.stringify(host)} is not a host`);
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

interface ReferenceParts {
  readonly name: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

function splitReference(text: string): ReferenceParts {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const named = at < 0 ? text : text.slice(0, at);

  // A colon before the last slash belongs to the port.
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  return { name, tag, digest };
}

/**
 * Splits off the first component if it must be a host, because no path can begin with it. Otherwise
 * the host is Docker Hub.
 */
function splitHost(name: string): { readonly host: string; readonly repository: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hasHost = /[.:\]]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const host = hasHost ? first.replace(/^index\.docker\.io$/, DEFAULT_HOST) : DEFAULT_HOST;
  const path = hasHost ? name.slice(slash + 1) : name;

  const needsNamespace = host === DEFAULT_HOST && !path.includes('/');
  return { host, repository: needsNamespace ? `${DEFAULT_NAMESPACE}/${path}` : path };
}

export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Returns what comes after `manifests/` in the URL of the image's manifest. */
export function tagOrDigest({ tag = DEFAULT_TAG, digest }: ImageReference): string {
  return digest ?? tag;
}

/** Returns the `HOST[:PORT]` that requests for images of `host` go to. */
export function apiHost(host: string): string {
  return host === DEFAULT_HOST ? DEFAULT_API_HOST : host;
}
