/** Image references, `TRANSPORT:REST`, as in containers-transports(5). */
import { OstrataError } from '../errors.js';
import { ociTransport } from './oci.js';
import { ociArchiveTransport } from './oci-archive.js';
import type { ImageReader, ImageWriter, Transport } from './transport.js';

const TRANSPORTS: readonly Transport[] = [ociTransport, ociArchiveTransport];
const FORMS = 'oci:DIR[:TAG] or oci-archive:FILE[:TAG]';

/** Opens an image for reading; `USAGE` for a reference of no known transport. */
export async function openImage(imgref: string): Promise<ImageReader> {
  const { transport, rest } = parseImgref(imgref);
  return transport.read(rest);
}

/** Prepares to write an image; fails early where that is impossible. */
export async function createImage(imgref: string): Promise<ImageWriter> {
  const { transport, rest } = parseImgref(imgref);
  return transport.write(rest);
}

/** Splits a reference without touching anything; `USAGE` where it has no known form. */
export function parseImgref(imgref: string): { readonly transport: Transport; readonly rest: string } {
  const colon = imgref.indexOf(':');
  const transport = TRANSPORTS.find(({ name }) => name === imgref.slice(0, Math.max(0, colon)));
  if (transport === undefined)
    throw new OstrataError('USAGE', `image reference ${JSON.stringify(imgref)}: expected ${FORMS}`);
  return { transport, rest: imgref.slice(colon + 1) };
}
