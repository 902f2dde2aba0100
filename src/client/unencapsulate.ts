/** An image in, its ostree commit in a repository out: transport -> image -> layers -> objects -> refs. */
import { inContextAsync, OstrataError } from '../errors.js';
import type { ReadLayer } from '../image/encapsulated.js';
import type { ImageReader } from '../oci/image.js';
import { openRepo } from '../ostree/repo.js';
import { verifySignatures } from '../ostree/sign/verify.js';
import { checkRefName } from '../ostree/write/refs.js';
import { RepoWriter } from '../ostree/write/writer.js';
import { openImage } from '../transports/image-reference.js';
import type { TransportOptions } from '../transports/transport.js';
import { type CommitVerifier, importCommit } from './import/commit.js';
import { type FetchEvent, type FetchOptions, LayerFetcher } from './import/fetch.js';
import { type ImportCounts, type ImportPlan, importCounts, planImport } from './import/plan.js';
import type { OstreeImgref } from './verify/ostree-image-reference.js';
import { enforcePolicy } from './verify/policy.js';

export interface ImportOptions extends Omit<FetchOptions, 'onEvent'> {
  /** Path of the ostree repository. */
  readonly repo: string;
  readonly source: OstreeImgref;
  /** How the image is reached. */
  readonly transport?: TransportOptions | undefined;
  /** Whether what is referenced must be on the disk first; by default what the repository's config says. */
  readonly fsync?: boolean | undefined;
  /** Called with each step. */
  readonly onEvent?: ((event: ImportEvent) => void) | undefined;
}

export type ImportEvent =
  | FetchEvent
  | {
      readonly event: 'planned';
      readonly manifestDigest: string;
      readonly layersNeeded: number;
      readonly layersPresent: number;
      readonly bytesNeeded: number;
    };

export interface ImportResult extends ImportCounts {
  /** The ostree commit. */
  readonly commit: string;
  readonly manifestDigest: string;
}

/** Fetches the commit that an image holds, into the repository, and its layers' refs; `writeRef` names the commit too. */
export async function unencapsulate(
  options: ImportOptions & { readonly writeRef?: string | undefined },
): Promise<ImportResult> {
  if (options.writeRef !== undefined) {
    checkRefName(options.writeRef);
  }
  return withSource(options, async (image, writer) => {
    const plan = await planImport(writer.repo, image);
    const derived = plan.layers.filter(({ kind }) => kind === 'derived').length;
    if (derived > 0) {
      throw new OstrataError(
        'UNSUPPORTED',
        `${image.name} has ${derived} layers that are no part of the commit; pull it with: container image pull`,
      );
    }
    return importPlanned(writer, plan, options, async (_fetcher, commit) => {
      if (options.writeRef !== undefined) {
        writer.setRef(options.writeRef, commit);
      }
      return { commit, manifestDigest: image.manifestDigest, ...importCounts(plan) };
    });
  });
}

/** What would be fetched; nothing is written. */
export async function planUnencapsulate(options: ImportOptions): Promise<ImportPlan> {
  return withImage(options, async (image) => {
    const plan = await planImport(openRepo(options.repo), image);
    checkPlan(plan, options);
    return plan;
  });
}

/** Runs `body` with the opened image, and with the repository locked; nothing staged is left behind. */
export async function withSource<T>(
  options: ImportOptions,
  body: (image: ImageReader, writer: RepoWriter) => Promise<T>,
): Promise<T> {
  const { fsync, signal } = options;
  const writer = await RepoWriter.open(options.repo, {
    ...(fsync !== undefined && { fsync }),
    signal,
  });
  try {
    return await withImage(options, (image) => body(image, writer));
  } finally {
    writer.close();
  }
}

/** Imports the commit, then runs `body`, which may fetch more layers of the plan. */
export async function importPlanned<T>(
  writer: RepoWriter,
  plan: ImportPlan,
  options: ImportOptions,
  body: (fetcher: LayerFetcher, commit: string) => Promise<T>,
): Promise<T> {
  return inContextAsync(`importing ${plan.image.name}`, async () => {
    checkPlan(plan, options);
    const fetcher = new LayerFetcher(writer, plan.image, importCounts(plan).bytesFetched, options);
    try {
      return await body(
        fetcher,
        await importCommit(writer, fetcher, plan, verifier(writer, options)),
      );
    } finally {
      await fetcher.close();
    }
  });
}

/** The image is one that the policy accepts, where the reference asks for that. */
async function withImage<T>(
  options: ImportOptions,
  body: (image: ImageReader) => Promise<T>,
): Promise<T> {
  const { source, transport = {} } = options;
  const image = await openImage(source.imgref, transport);
  try {
    if (source.verification.kind === 'policy') {
      await enforcePolicy(source.imgref, image, transport);
    }
    return await body(image);
  } finally {
    await image.close?.();
  }
}

function checkPlan(plan: ImportPlan, { source, onEvent }: ImportOptions): void {
  checkDerived(plan.image.name, plan.layers, source);
  const {
    layersFetched: layersNeeded,
    layersPresent,
    bytesFetched: bytesNeeded,
  } = importCounts(plan);
  const { manifestDigest } = plan.image;
  onEvent?.({ event: 'planned', manifestDigest, layersNeeded, layersPresent, bytesNeeded });
}

/** Refuses what a signature of the commit says nothing about. */
export function checkDerived(
  name: string,
  layers: readonly ReadLayer[],
  { verification }: OstreeImgref,
): void {
  const derived = layers.filter(({ kind }) => kind === 'derived').length;
  if (derived > 0 && verification.kind === 'remote') {
    throw new OstrataError(
      'UNSUPPORTED',
      `${name} has ${derived} derived layers, and the signature of an ostree remote covers the commit only`,
    );
  }
}

/** Verifies commits as the reference asks for; undefined where it asks for nothing. */
export function verifier(
  writer: RepoWriter,
  { source: { verification }, log }: ImportOptions,
): CommitVerifier | undefined {
  if (verification.kind !== 'remote') {
    return undefined;
  }
  return async (commit) => {
    for (const line of await verifySignatures(writer.repo, verification.remote, commit)) {
      log.info(line);
    }
  };
}
