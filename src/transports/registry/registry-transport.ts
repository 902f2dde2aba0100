/**
 * Transports `registry:HOST/PATH` and `docker://HOST/PATH`, two names for an image in a registry.
 * The HTTP client is loaded when it is needed, since most commands do not need it.
 */
import { OstrataError } from '../../errors.js';
import type { Transport } from '../transport.js';
import { type ImageReference, parseReference } from './reference.js';

export const registryTransport = createTransport(
  'registry',
  'registry:HOST[:PORT]/PATH[:TAG]',
  parseRegistryLocation,
);
export const dockerTransport = createTransport(
  'docker',
  'docker://HOST[:PORT]/PATH[:TAG]',
  parseDockerLocation,
);

function createTransport(
  name: string,
  form: string,
  parse: (location: string) => ImageReference,
): Transport {
  return {
    name,
    form,
    check: parse,
    reference: parse,
    read: async (location, options) => {
      const { openRegistryImage } = await import('./reader.js');
      return openRegistryImage(parse(location), `${name}:${location}`, options);
    },
    readIndex: async (location, options) => {
      const { readRegistryIndex } = await import('./reader.js');
      return readRegistryIndex(parse(location), `${name}:${location}`, options);
    },
    write: async (location, options) => {
      const { createRegistryImage } = await import('./writer.js');
      return createRegistryImage(parse(location), `${name}:${location}`, options);
    },
    artifacts: {
      check: parse,
      withName: (location, other) => {
        const { host, repository } = parse(location);
        const separator = other.startsWith('sha256:') ? '@' : ':';
        return `//${host}/${repository}${separator}${other}`;
      },
      write: async (location, options) => {
        const { createRegistryArtifact } = await import('./writer.js');
        return createRegistryArtifact(parse(location), `${name}:${location}`, options);
      },
      open: async (location, options, rights) => {
        const { openRegistryRepository } = await import('./repository.js');
        return openRegistryRepository(parse(location), `${name}:${location}`, options, rights);
      },
    },
  };
}

/** Also accepts `registry://HOST/PATH`, a form that some people write. */
function parseRegistryLocation(location: string): ImageReference {
  return parseReference(location.replace(/^\/\//, ''));
}

function parseDockerLocation(location: string): ImageReference {
  if (location.startsWith('//')) {
    return parseReference(location.slice(2));
  }
  throw new OstrataError(
    'USAGE',
    `image reference ${JSON.stringify(`docker:${location}`)}: expected docker://${location}`,
  );
}
