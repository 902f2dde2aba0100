/** Image references, `TRANSPORT:REST`, as in containers-transports(5). */
import { OstrataError } from '../errors.js';
import { ociArchiveTransport } from './oci/archive.js';
import { ociTransport } from './oci/directory.js';
import { dockerTransport, registryTransport } from './registry/transport.js';
import { skopeoTransports } from './skopeo/transport.js';
import type { ImageReader, ImageWriter, Transport, TransportOptions } from './transport.js';

const TRANSPORTS: readonly Transport[] = [
  registryTransport,
  dockerTransport,
  ociTransport,
  ociArchiveTransport,
  ...skopeoTransports,
];

/** The forms of image references, for messages and help. */
export const IMGREF_FORMS = TRANSPORTS.map(({ form }) => form).join(', ');

/** Opens an image for reading; `USAGE` for a reference of no known form. */
export async function openImage(
  imgref: string,
  options: TransportOptions = {},
): Promise<ImageReader> {
  const { transport, rest } = parseImgref(imgref);
  return transport.read(rest, options);
}

/** Prepares to write an image; fails early where that is impossible. */
export async function createImage(
  imgref: string,
  options: TransportOptions = {},
): Promise<ImageWriter> {
  const { transport, rest } = parseImgref(imgref);
  return transport.write(rest, options);
}

/** Whether `text` begins with a transport, as a path seldom does. */
export const isImgref = (text: string): boolean => transportOf(text) !== undefined;

const transportOf = (text: string) => TRANSPORTS.find(({ name }) => text.startsWith(`${name}:`));

/** Splits a reference without touching anything; `USAGE` where it has no known form. */
export function parseImgref(imgref: string): {
  readonly transport: Transport;
  readonly rest: string;
} {
  const transport = transportOf(imgref);
  if (transport === undefined) {
    throw new OstrataError(
      'USAGE',
      `image reference ${JSON.stringify(imgref)}: expected one of ${IMGREF_FORMS}`,
    );
  }
  const rest = imgref.slice(transport.name.length + 1);
  transport.check(rest);
  return { transport, rest };
}

/** `HOST[:PORT]` of the registry the image is in; undefined for one that is in none. */
export function registryHost(imgref: string): string | undefined {
  const { transport, rest } = parseImgref(imgref);
  return transport.reference?.(rest).host;
}
