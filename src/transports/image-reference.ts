/** Image references, `TRANSPORT:LOCATION`, as in containers-transports(5). */
import { nearestNames } from '../bytes/nearest.js';
import { OstrataError } from '../errors.js';
import type { ImageIndex } from '../oci/types.js';
import { ociArchiveTransport } from './oci/archive-transport.js';
import { ociTransport } from './oci/directory-transport.js';
import { dockerTransport, registryTransport } from './registry/registry-transport.js';
import { skopeoTransports } from './skopeo/skopeo-transport.js';
import type {
  ArtifactRepository,
  ArtifactRights,
  ImageReader,
  ImageWriter,
  Transport,
  TransportOptions,
} from './transport.js';

export interface ParsedImgref {
  readonly transport: Transport;
  /** The part after the transport's colon. */
  readonly location: string;
}

export const TRANSPORTS: readonly Transport[] = [
  registryTransport,
  dockerTransport,
  ociTransport,
  ociArchiveTransport,
  ...skopeoTransports,
];

/** The forms of image references, for messages and help. */
export const IMGREF_FORMS = TRANSPORTS.map(({ form }) => form).join(', ');

/**
 * Opens an image for reading. Throws `USAGE` if the reference has no known form, `NOT_FOUND` if
 * there is no such image, and `AMBIGUOUS` if a tag is missing.
 */
export async function openImage(
  imgref: string,
  options: TransportOptions = {},
): Promise<ImageReader> {
  const { transport, location } = parseImgref(imgref);
  return transport.read(location, options);
}

/**
 * Throws `UNSUPPORTED` unless images for several platforms can be at `imgref`, and `USAGE` if it
 * has no known form.
 */
export function checkHoldsIndexes(imgref: string): void {
  const { transport } = parseImgref(imgref);
  if (transport.readIndex === undefined) {
    const others = TRANSPORTS.filter(({ readIndex }) => readIndex !== undefined);
    const names = others.map(({ name }) => `${name}:`).join(', ');
    const rule = `${transport.name}: is supported for one platform only; several can be in`;
    throw new OstrataError('UNSUPPORTED', `image reference ${imgref}: ${rule} ${names}`);
  }
}

/** Reads the index at `imgref`; undefined if one image is there. */
export async function readIndex(
  imgref: string,
  options: TransportOptions = {},
): Promise<ImageIndex | undefined> {
  const { transport, location } = parseImgref(imgref);
  return transport.readIndex?.(location, options);
}

/** Prepares to write an image; fails early if that is impossible. */
export async function createImage(
  imgref: string,
  options: TransportOptions = {},
): Promise<ImageWriter> {
  const { transport, location } = parseImgref(imgref);
  return transport.write(location, options);
}

/** Throws `UNSUPPORTED` or `USAGE` if there can be no artifacts beside the image at `imgref`. */
export function checkHoldsArtifacts(imgref: string): void {
  artifactsBeside(imgref);
}

/** Opens all artifacts of the repository of an image. Throws `UNSUPPORTED` if it has none. */
export async function openArtifactRepository(
  imgref: string,
  options: TransportOptions,
  rights: ArtifactRights,
): Promise<ArtifactRepository> {
  const { transport, location } = parseImgref(imgref);
  const open = transport.artifacts?.open;
  if (open === undefined) {
    throw new OstrataError('UNSUPPORTED', `image reference ${imgref}: expected one of a registry`);
  }
  return open(location, options, rights);
}

/** Throws `USAGE` unless `imgref` names a repository of a registry, without a tag or a digest. */
export function checkIsRepository(imgref: string): void {
  const { transport, location } = parseImgref(imgref);
  const name = location.slice(location.lastIndexOf('/') + 1);
  if (transport.artifacts?.open === undefined || /[:@]/.test(name)) {
    const rule = `expected a repository of a registry, ${registryTransport.name}:HOST[:PORT]/PATH`;
    throw new OstrataError('USAGE', `image reference ${imgref}: ${rule}, without a tag`);
  }
}

/** Prepares to write an artifact that refers to the image at `imgref` and has no name. */
export async function createArtifact(
  imgref: string,
  options: TransportOptions = {},
): Promise<ImageWriter> {
  const { artifacts, location } = artifactsBeside(imgref);
  return artifacts.write(location, options);
}

/**
 * Returns the reference of what has another name beside the image at `imgref`, a tag or in a
 * registry a digest; undefined where there can be nothing beside it.
 */
export function namedBeside(imgref: string, name: string): string | undefined {
  const { transport, location } = parseImgref(imgref);
  const named = transport.artifacts?.withName(location, name);
  return named === undefined ? undefined : `${transport.name}:${named}`;
}

function artifactsBeside(imgref: string) {
  const { transport, location } = parseImgref(imgref);
  const { name, artifacts } = transport;
  if (artifacts === undefined) {
    const others = TRANSPORTS.filter((each) => each.artifacts !== undefined);
    const names = others.map((each) => `${each.name}:`).join(', ');
    const rule = `${name}: holds no artifacts beside an image, such as deltas`;
    throw new OstrataError('UNSUPPORTED', `image reference ${imgref}: ${rule}; these do: ${names}`);
  }
  artifacts.check(location);
  return { artifacts, location };
}

/** Whether `text` begins with the name of a transport and a colon, which paths rarely do. */
export function isImgref(text: string): boolean {
  return findTransport(text) !== undefined;
}

/** Splits a reference without reading anything. Throws `USAGE` if it has no known form. */
export function parseImgref(imgref: string): ParsedImgref {
  const transport = findTransport(imgref);
  if (transport === undefined) {
    throw new OstrataError(
      'USAGE',
      `image reference ${JSON.stringify(imgref)}: expected one of ${IMGREF_FORMS}` +
        suggestionFor(imgref),
    );
  }
  const location = imgref.slice(transport.name.length + 1);
  transport.check(location);
  return { transport, location };
}

/** What podman and docker take without a transport: an image in a registry. */
const REGISTRY_NAME = /^(localhost|[\w-]+(\.[\w-]+)+)(:\d+)?\/\w/;
const PATH = /^\.{0,2}\//;

/** Returns the end of the message about a reference that has no known transport. */
function suggestionFor(imgref: string): string {
  if (REGISTRY_NAME.test(imgref)) {
    return `; did you mean ${registryTransport.name}:${imgref}?`;
  }
  if (PATH.test(imgref)) {
    const names = [ociTransport, ociArchiveTransport].map(({ name }) => `${name}:${imgref}`);
    return `; did you mean ${names.join(' or ')}?`;
  }
  const [name = ''] = imgref.split(':', 1);
  const nearest = nearestNames(
    name,
    TRANSPORTS.map((each) => each.name),
  );
  return nearest.length > 0 ? `; did you mean ${nearest[0]}${imgref.slice(name.length)}?` : '';
}

/** Returns `HOST[:PORT]` of the image's registry; undefined if it is not in a registry. */
export function registryHost(imgref: string): string | undefined {
  const { transport, location } = parseImgref(imgref);
  return transport.reference?.(location).host;
}

function findTransport(text: string): Transport | undefined {
  return TRANSPORTS.find(({ name }) => text.startsWith(`${name}:`));
}
