/** What updates between published images cost, as their manifests and configs say. */

/** A layer of an image as a registry has it. */
export interface PublishedLayer {
  readonly diffId: string;
  /** Bytes as they are stored: compressed. */
  readonly storedBytes: number;
}

/** A build that may have been published as an image. */
export interface PublishedBuild {
  /** What the build is called, e.g. a commit or a file name. */
  readonly build: string;
  /** The layers of an image; undefined for what is no image. */
  readonly published?: readonly PublishedLayer[] | undefined;
}

/** The layers of the later image that the earlier one does not have, by diffId. */
export interface PublishedUpdate {
  readonly from: string;
  readonly to: string;
  readonly layers: number;
  /** Compressed bytes, with the commit layer. */
  readonly bytes: number;
}

/**
 * Returns the updates from each image to the one `lag` builds later; none from or to builds that
 * are no images.
 */
export function publishedUpdates(
  builds: readonly PublishedBuild[],
  lag: number,
): readonly PublishedUpdate[] {
  return builds.flatMap((from, i) => {
    const to = builds[i + lag];
    if (from.published === undefined || to?.published === undefined) {
      return [];
    }
    const added = missingLayers(from.published, to.published);
    const bytes = added.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    return [{ from: from.build, to: to.build, layers: added.length, bytes }];
  });
}

/**
 * Returns the layers of `to` that `from` does not have, each once: of equal layers, which container
 * builds without any change make, only the first is listed. Layers are compared by diffId: clients
 * recognize a layer by its uncompressed bytes, whoever compressed them.
 */
export function missingLayers<Layer extends { readonly diffId: string }>(
  from: readonly { readonly diffId: string }[],
  to: readonly Layer[],
): readonly Layer[] {
  const known = new Set(from.map(({ diffId }) => diffId));
  const missing: Layer[] = [];
  for (const layer of to) {
    if (!known.has(layer.diffId)) {
      known.add(layer.diffId);
      missing.push(layer);
    }
  }
  return missing;
}
