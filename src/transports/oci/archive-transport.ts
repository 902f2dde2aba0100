/**
 * Transport `oci-archive:FILE[:TAG]`: an OCI image layout as one uncompressed tar. Writing replaces
 * the whole file. `oci-archive:-` is written to a stream, as a program's standard output is.
 * What reads and writes archives is loaded when it is needed, since most commands do not need it.
 */
import { resolve } from 'node:path';
import { inContext, OstrataError } from '../../errors.js';
import { silentLogger } from '../../log.js';
import type { Transport } from '../transport.js';
import { splitTag } from './location.js';
import { type LayoutFiles, openLayout, readLayoutIndex } from './reader.js';

/** The image reference of an archive that goes to `TransportOptions.stdout`. */
export const ARCHIVE_ON_STDOUT = 'oci-archive:-';

export const ociArchiveTransport: Transport = {
  name: 'oci-archive',
  form: 'oci-archive:FILE[:TAG]',
  check: splitTag,
  read: async (location, { platform, manifest, artifactType }) => {
    const { tag } = splitTag(location);
    const choice = { tag, platform, manifest, artifactType };
    return openLayout(await layoutAt(location), nameOf(location), choice);
  },
  readIndex: async (location) => {
    const { tag } = splitTag(location);
    return readLayoutIndex(await layoutAt(location), nameOf(location), tag);
  },
  write: async (location, { stdout, log = silentLogger }) => {
    const { path, tag } = splitTag(location);
    const { createArchiveWriter, createStreamWriter } = await import('./archive.js');
    if (path !== '-') {
      return createArchiveWriter(resolve(path), tag, log);
    }
    if (stdout === undefined) {
      throw new OstrataError('USAGE', `${ARCHIVE_ON_STDOUT} is understood by \`build\` only`);
    }
    return createStreamWriter(tag, stdout, log);
  },
};

function nameOf(location: string): string {
  return `oci-archive:${location}`;
}

async function layoutAt(location: string): Promise<LayoutFiles> {
  const { path } = splitTag(location);
  const { archiveFiles } = await import('./archive.js');
  return inContext(`reading ${nameOf(location)}`, () => archiveFiles(path));
}
