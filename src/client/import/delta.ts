/**
 * Finds a delta that gives the missing layers of an image from the files of an image that the
 * repository has, where that is fewer bytes than the layers are. Whatever is wrong with a delta
 * that was found costs a warning only: the layers can be fetched as they are.
 */
import { DELTA_TYPE, type ImageDocuments, listDeltas, readDelta } from '../../delta/artifact.js';
import { inContextAsync, messageOf, OstrataError } from '../../errors.js';
import type { Context } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import type { Descriptor } from '../../oci/types.js';
import type { OstreeRepo } from '../../ostree/repo.js';
import { hasWholeCommit } from '../../ostree/write/partial.js';
import { openImage } from '../../transports/image-reference.js';
import type { TransportOptions } from '../../transports/transport.js';
import { allImages } from '../stored.js';
import { type ImportPlan, type PlannedDelta, withDelta } from './plan.js';

/** A delta at a place that the caller names. */
export interface DeltaPlace {
  readonly imgref: string;
  readonly transport?: TransportOptions | undefined;
}

/** The delta that an import may use: any that refers to the image, none, or the one at a place. */
export type DeltaChoice = 'any' | 'none' | DeltaPlace;

export interface DeltaOptions extends Context {
  readonly choice: DeltaChoice;
  /** The reference of the image, and how it is reached. */
  readonly imgref: string;
  readonly transport: TransportOptions;
}

/**
 * Returns the plan with the delta that costs the fewest bytes; the same plan if the layers cost no
 * more. The caller closes the delta. A delta that the caller names has been brought here already:
 * it is used for all that it has. Throws for such a delta if it is not for this image, and
 * `NOT_FOUND` if the repository lacks its source.
 */
export async function planDelta(
  repo: OstreeRepo,
  plan: ImportPlan,
  options: DeltaOptions,
): Promise<ImportPlan> {
  const { choice } = options;
  if (choice === 'none' || plan.counts.layersFetched === 0) {
    return plan;
  }
  const search = new DeltaSearch(repo, plan, options);
  return choice === 'any' ? search.cheapest() : search.named(choice);
}

class DeltaSearch {
  readonly #repo: OstreeRepo;
  readonly #plan: ImportPlan;
  readonly #options: DeltaOptions;
  /** Merge commits of images of the repository, by the digest of the config. */
  readonly #sources: ReadonlyMap<string, string>;

  constructor(repo: OstreeRepo, plan: ImportPlan, options: DeltaOptions) {
    this.#repo = repo;
    this.#plan = plan;
    this.#options = options;
    const whole = allImages(repo).filter(({ mergeCommit }) =>
      hasWholeCommit(repo.path, mergeCommit),
    );
    this.#sources = new Map(
      whole.map(({ manifest, mergeCommit }) => [manifest.config.digest, mergeCommit]),
    );
  }

  async named({ imgref, transport }: DeltaPlace): Promise<ImportPlan> {
    const image = await openImage(imgref, { ...transport, artifactType: DELTA_TYPE });
    return this.#planWith(image);
  }

  async cheapest(): Promise<ImportPlan> {
    let best = this.#plan;
    try {
      for (const descriptor of await this.#candidates()) {
        const plan = await this.#orWarning(() => this.#open(descriptor));
        const isCheaper = plan !== undefined && plan.counts.bytesFetched < best.counts.bytesFetched;
        const other = isCheaper ? best : plan;
        best = isCheaper ? plan : best;
        await other?.delta?.image.close?.();
      }
      return best;
    } catch (error) {
      await best.delta?.image.close?.();
      throw error;
    }
  }

  /** Returns the newest deltas that refer to the image and have a source in the repository. */
  async #candidates(): Promise<readonly Descriptor[]> {
    const { image } = this.#plan;
    if (this.#sources.size === 0) {
      return [];
    }
    const isSource = (config: string) => this.#sources.has(config);
    return (await this.#orWarning(() => listDeltas(image, isSource))) ?? [];
  }

  async #open(manifest: Descriptor): Promise<ImportPlan> {
    const { imgref, transport } = this.#options;
    const image = await openImage(imgref, { ...transport, manifest, artifactType: DELTA_TYPE });
    return this.#planWith(image);
  }

  async #planWith(image: ImageReader): Promise<ImportPlan> {
    try {
      return withDelta(this.#plan, await this.#read(image));
    } catch (error) {
      await image.close?.();
      throw error;
    }
  }

  async #read(image: ImageReader): Promise<PlannedDelta> {
    const { sourceConfig, layers } = await readDelta(image, documentsOf(this.#plan));
    const source = this.#sources.get(sourceConfig);
    if (source === undefined) {
      const needed = `the image with the config ${sourceConfig}`;
      throw new OstrataError(
        'NOT_FOUND',
        `${image.name} needs ${needed}, which is not in ${this.#repo.path}`,
      );
    }
    const used = layers.flatMap(({ descriptor, blob }) =>
      blob !== undefined && this.#isWorth(blob, descriptor)
        ? [[descriptor.digest, blob] as const]
        : [],
    );
    return { image, source, blobs: new Map(used) };
  }

  /** Whether what the delta has is fetched in place of a layer. */
  #isWorth(blob: Descriptor, layer: Descriptor): boolean {
    return this.#options.choice !== 'any' || blob.size < layer.size;
  }

  /** Returns what `body` returns; if that fails, warns and returns undefined. */
  async #orWarning<T>(body: () => Promise<T>): Promise<T | undefined> {
    const { log, signal } = this.#options;
    try {
      return await inContextAsync('no delta is used', body);
    } catch (error) {
      signal.throwIfAborted();
      log.warn(messageOf(error));
      return undefined;
    }
  }
}

function documentsOf({ image, configBytes, config }: ImportPlan): ImageDocuments {
  const { manifestDigest, manifestBytes, manifest } = image;
  return { manifestDigest, manifestBytes, manifest, configBytes, config };
}
