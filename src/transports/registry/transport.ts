/** Transports `registry:HOST/PATH` and `docker://HOST/PATH`, which are the same: an image in a registry. What speaks HTTP is loaded when it is needed. */
import { OstrataError } from '../../errors.js';
import type { Transport } from '../transport.js';
import { type ImageReference, parseReference } from './reference.js';

/** `registry://` is also written. */
const parseRegistry = (rest: string) => parseReference(rest.replace(/^\/\//, ''));

function parseDocker(rest: string): ImageReference {
  if (rest.startsWith('//')) {
    return parseReference(rest.slice(2));
  }
  throw new OstrataError(
    'USAGE',
    `image reference ${JSON.stringify(`docker:${rest}`)}: expected docker://...`,
  );
}

export const registryTransport = transport(
  'registry',
  'registry:HOST[:PORT]/PATH[:TAG]',
  parseRegistry,
);
export const dockerTransport = transport('docker', 'docker://HOST[:PORT]/PATH[:TAG]', parseDocker);

function transport(name: string, form: string, parse: (rest: string) => ImageReference): Transport {
  return {
    name,
    form,
    check: parse,
    reference: parse,
    read: async (rest, options) =>
      (await import('./pull.js')).openRegistryImage(parse(rest), `${name}:${rest}`, options),
    write: async (rest, options) =>
      (await import('./push.js')).createRegistryImage(parse(rest), `${name}:${rest}`, options),
  };
}
