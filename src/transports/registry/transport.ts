/** Transports `registry:HOST/PATH` and `docker://HOST/PATH`, which are the same: an image in a registry. */
import { OstrataError } from '../../errors.js';
import type { Transport } from '../transport.js';
import { openRegistryImage } from './pull.js';
import { createRegistryImage } from './push.js';
import { parseReference } from './reference.js';

export const registryTransport: Transport = {
  name: 'registry',
  form: 'registry:HOST[:PORT]/PATH[:TAG]',
  check: parseReference,
  host: (rest) => parseReference(rest).host,
  read: async (rest, options) => openRegistryImage(parseReference(rest), `registry:${rest}`, options),
  write: async (rest, options) => createRegistryImage(parseReference(rest), `registry:${rest}`, options),
};

export const dockerTransport: Transport = {
  name: 'docker',
  form: 'docker://HOST[:PORT]/PATH[:TAG]',
  check: parseDocker,
  host: (rest) => parseDocker(rest).host,
  read: async (rest, options) => openRegistryImage(parseDocker(rest), `docker:${rest}`, options),
  write: async (rest, options) => createRegistryImage(parseDocker(rest), `docker:${rest}`, options),
};

function parseDocker(rest: string) {
  if (!rest.startsWith('//'))
    throw new OstrataError(
      'USAGE',
      `image reference ${JSON.stringify(`docker:${rest}`)}: expected ${dockerTransport.form}`,
    );
  return parseReference(rest.slice(2));
}
