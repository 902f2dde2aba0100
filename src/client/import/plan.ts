/** Which layers of an image a repository lacks. */
import { inContextAsync } from '../../errors.js';
import { classifyLayers, type ReadLayer } from '../../image/encapsulated.js';
import { OSTREE_COMMIT } from '../../oci/annotations.js';
import type { ImageReader } from '../../oci/image.js';
import { type ImageConfig, parseConfig } from '../../oci/types.js';
import { metadataValue } from '../../ostree/objects/commit.js';
import { isChecksum } from '../../ostree/objects/object-name.js';
import type { OstreeRepo } from '../../ostree/repo.js';
import { hasWholeCommit, partialMarker } from '../../ostree/write/partial.js';
import { hasObject } from '../../ostree/write/stage.js';
import { DIFF_ID_KEY, type KnownLayers, knownLayers, storedBlob } from '../stored.js';

/** A layer and what the repository has of it. */
export interface LayerToImport extends ReadLayer {
  /** Place in the manifest. */
  readonly index: number;
  /** The commit it was imported as; undefined: it is to be fetched. */
  readonly present: string | undefined;
}

export interface ImportPlan {
  readonly image: ImageReader;
  readonly configBytes: Uint8Array;
  readonly config: ImageConfig;
  readonly layers: readonly LayerToImport[];
}

export interface ImportCounts {
  readonly layersFetched: number;
  readonly layersPresent: number;
  /** Compressed bytes of the layers that are fetched. */
  readonly bytesFetched: number;
}

/** Reads manifest and config only. Layers are known by the digest of the blob, and by the diff_ids of pulled images. */
export async function planImport(repo: OstreeRepo, image: ImageReader): Promise<ImportPlan> {
  return inContextAsync(`importing ${image.name}`, async () => {
    const configBytes = await image.config();
    const config = parseConfig(configBytes);
    const known = knownLayers(repo);
    const layers = classifyLayers(image.manifest, config).map((layer, index) => {
      const present =
        presentLayer(repo, layer, known) ??
        (layer.kind === 'commit' ? interruptedCommit(repo, layer, config) : undefined);
      return { ...layer, index, present };
    });
    return { image, configBytes, config, layers };
  });
}

/**
 * What the layer was imported as. A config may lie about the diff_ids of layers that nobody fetches: it is believed only
 * as far as it agrees with what is known, and of derived layers, whose content no commit covers, the import itself tells.
 */
function presentLayer(
  repo: OstreeRepo,
  { kind, diffId, descriptor: { digest } }: ReadLayer,
  { digests, diffIds }: KnownLayers,
): string | undefined {
  const isKnownAs = (blob: string | undefined) =>
    blob !== undefined && (diffIds.get(blob) ?? diffId) === diffId;
  return [digest, digests.get(diffId)]
    .map((blob) => (blob !== undefined && isKnownAs(blob) ? storedBlob(repo, blob) : undefined))
    .find((commit, i) => {
      if (commit === undefined || !hasWholeCommit(repo.path, commit)) {
        return false;
      }
      const imported = metadataValue(repo.loadCommit(commit).parsed.metadata, DIFF_ID_KEY, 's');
      if (kind !== 'derived') {
        return imported === undefined;
      }
      // Others do not note it: then the digest of the blob decides.
      return imported === diffId || (imported === undefined && i === 0);
    });
}

export function importCounts({ layers }: ImportPlan): ImportCounts {
  const needed = layers.filter(({ present }) => present === undefined);
  return {
    layersFetched: needed.length,
    layersPresent: layers.length - needed.length,
    bytesFetched: needed.reduce((sum, { descriptor }) => sum + descriptor.size, 0),
  };
}

/** The note of a partial commit names the layer it came from: an import that was interrupted goes on behind it. */
export const partialMarkerOf = ({ diffId }: ReadLayer) => `layer ${diffId}\n`;

function interruptedCommit(
  repo: OstreeRepo,
  layer: ReadLayer,
  config: ImageConfig,
): string | undefined {
  const commit = config.config?.Labels?.[OSTREE_COMMIT] ?? '';
  const isThere = isChecksum(commit) && partialMarker(repo.path, commit) === partialMarkerOf(layer);
  return isThere && hasObject(repo.path, `${commit}.commit`) ? commit : undefined;
}
