/**
 * Makes small images: builds a tree of {@link TreeSpec} with the library into an OCI image layout.
 */
import { join } from 'node:path';
import { planImage, type WriteImageOptions, writeImage } from '../../src/builder/encapsulate.js';
import { previousFromImage } from '../../src/builder/previous.js';
import type { FormatVersion } from '../../src/layers/spec.js';
import { type Logger, silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import type { Commit } from '../../src/ostree/objects/commit.js';
import type { ContentSource, FileEntry, LayoutStrategy } from '../../src/plugin.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import { RepoBuilder, type TreeSpec } from './build-repo.js';
import { scratchDirectory } from './scratch.js';

/** A content source for which each top-level directory is a component: `usr` owns `/usr/bin/sh`. */
export const byTopDirectory: ContentSource = {
  name: 'top',
  priority: 1,
  detect: () => true,
  load: async ({ tree }) => ({
    components: new Map(
      [...tree.files].map((entry) => [
        topOf(entry),
        { name: topOf(entry), source: topOf(entry), packages: [] },
      ]),
    ),
    strong: (entry) => [topOf(entry)],
  }),
};
const topOf = ({ path }: FileEntry) => path.split('/')[1] ?? '';

/** A layout strategy that gives each component its own layer, whatever the limit. */
export const separate: LayoutStrategy = {
  name: 'separate',
  description: '',
  plan: (components) => ({ layers: components.map(({ id }) => ({ components: [id] })) }),
};

export interface BuildOptions extends Partial<WriteImageOptions> {
  readonly previous?: ImageReader;
  readonly commit?: Partial<Commit>;
  readonly formatVersion?: FormatVersion;
  /** The destination; by default `oci:` and a new directory. */
  readonly imgref?: string | undefined;
  readonly log?: Logger;
}

/**
 * Builds an image of the commit layer and one layer for each top-level directory.
 * @param content the tree, or writes a commit and returns its checksum
 */
export async function buildImage(
  content: TreeSpec | ((repo: RepoBuilder) => string),
  {
    previous: image,
    commit = {},
    formatVersion = 2,
    imgref,
    log = silentLogger,
    ...options
  }: BuildOptions = {},
) {
  const repo = new RepoBuilder('archive', '', scratchDirectory());
  const ref =
    typeof content === 'function' ? content(repo) : repo.commit(repo.tree(content), commit);
  const destination = imgref ?? `oci:${join(scratchDirectory(), 'image')}`;
  const previous = image && (await previousFromImage(image, log));
  const common = { signal: new AbortController().signal, log };
  const plan = await planImage({
    ...common,
    previous,
    repo: repo.path,
    ref,
    sources: [byTopDirectory],
    strategy: separate,
    maxLayers: 64,
    formatVersion,
  });
  const written = await writeImage(plan, await createImage(destination), {
    ...common,
    compression: { name: 'gzip', level: 6 },
    jobs: 1,
    architecture: 'amd64',
    ...options,
  });
  return { imgref: destination, image: await openImage(destination), plan, written };
}
