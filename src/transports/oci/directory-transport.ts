/** Transport `oci:DIR[:TAG]`: an OCI image layout in a directory. */
import { existsSync, lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OstrataError } from '../../errors.js';
import { MAX_JSON_SIZE } from '../../oci/types.js';
import { readRange } from '../../system/file-chunks.js';
import type { Transport } from '../transport.js';
import { splitTag } from './location.js';
import { type LayoutFiles, openLayout, readLayoutIndex, streamFile } from './reader.js';
import { createOciWriter } from './writer.js';

export const ociTransport: Transport = {
  name: 'oci',
  form: 'oci:DIR[:TAG]',
  check: splitTag,
  read: async (location, { platform, manifest, artifactType }) => {
    const { tag } = splitTag(location);
    const choice = { tag, platform, manifest, artifactType };
    return openLayout(layoutAt(location), `oci:${location}`, choice);
  },
  readIndex: async (location) =>
    readLayoutIndex(layoutAt(location), `oci:${location}`, splitTag(location).tag),
  write: async (location) => {
    const { path, tag } = splitTag(location);
    return createOciWriter(path, tag);
  },
  artifacts: {
    check: (location) => {
      // Without a tag, skopeo and podman read a layout that holds nothing but one image.
      if (splitTag(location).tag === undefined) {
        const rule = 'an image with artifacts beside it needs a tag';
        throw new OstrataError('USAGE', `image reference oci:${location}: ${rule}, oci:DIR:TAG`);
      }
    },
    withName: (location, name) => `${splitTag(location).path}:${name}`,
    write: async (location) => {
      const { path } = splitTag(location);
      return createOciWriter(path, undefined, { isUnnamed: true });
    },
  },
};

function layoutAt(location: string): LayoutFiles {
  const { path } = splitTag(location);
  if (!existsSync(path)) {
    throw new OstrataError('NOT_FOUND', `oci:${location}: the folder ${path} does not exist`);
  }
  return directoryFiles(path);
}

function directoryFiles(directory: string): LayoutFiles {
  return {
    path: directory,
    has: (name) => existsSync(join(directory, name)),
    readAll: (name) => {
      const path = join(directory, name);
      return existsSync(path) ? readRange(path, 0, statSync(path).size, MAX_JSON_SIZE) : undefined;
    },
    stream: (name) => streamFile(join(directory, name)),
    linkablePath: (name) => {
      const path = join(directory, name);
      // A hard link to a symlink would be a symlink in the new image.
      return lstatSync(path, { throwIfNoEntry: false })?.isFile() ? path : undefined;
    },
  };
}
