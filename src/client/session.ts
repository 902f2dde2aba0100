/**
 * What the steps of one import share: the opened image, the locked repository, the threads that
 * fetch layers. `pullImage` and `unencapsulate` are each a sequence of steps on one session.
 */
import { inContextAsync, OstrataError } from '../errors.js';
import { holdsFiles, isPlain, type ReadLayer } from '../image/encapsulated.js';
import type { ImageReader } from '../oci/image.js';
import { type OstreeRepo, openRepo } from '../ostree/repo.js';
import { type SignedCommit, signatureRules, verifySignatures } from '../ostree/sign/verify.js';
import { checkContentWritable } from '../ostree/write/content-writer.js';
import { RepoWriter } from '../ostree/write/writer.js';
import { openImage } from '../transports/image-reference.js';
import type { TransportOptions } from '../transports/transport.js';
import { type DeltaChoice, planDelta } from './import/delta.js';
import {
  type FetchCounts,
  type FetchEvent,
  type FetchOptions,
  LayerFetcher,
} from './import/fetch.js';
import {
  type ImportCounts,
  type ImportPlan,
  type PlannedDelta,
  planImport,
} from './import/plan.js';
import type { OstreeImgref, Verification } from './verify/ostree-image-reference.js';
import { enforcePolicy } from './verify/policy.js';

export interface ImportOptions extends Omit<FetchOptions, 'onEvent'> {
  /** Path of the ostree repository. */
  readonly repo: string;
  /** The image, and how it is verified. */
  readonly source: OstreeImgref;
  /** How the image is reached. */
  readonly transport?: TransportOptions | undefined;
  /** The delta that may be used; by default any in the image's registry. */
  readonly delta?: DeltaChoice | undefined;
  /** Whether objects reach the disk before refs name them; by default, the repository decides. */
  readonly fsync?: boolean | undefined;
  /** Called at each step; must not throw. */
  readonly onEvent?: ((event: ImportEvent) => void) | undefined;
}

/** Reported once, before the first layer is fetched. */
export interface PlannedEvent {
  readonly event: 'planned';
  readonly manifestDigest: string;
  readonly layersNeeded: number;
  readonly layersPresent: number;
  /** Size of the blobs that are needed. */
  readonly bytesNeeded: number;
  /** Compressed size of the layers that are needed: what they cost without a delta. */
  readonly bytesByLayers: number;
  /** Digest of the delta that is used, if one is. */
  readonly delta?: string | undefined;
}

export type ImportEvent = FetchEvent | PlannedEvent;

export interface ImportResult extends ImportCounts, FetchCounts {
  /** Checksum of the ostree commit. */
  readonly commit: string;
  readonly manifestDigest: string;
}

/** Throws for layers that an import refuses. */
export type LayerCheck = (layers: readonly ReadLayer[]) => void;

/** Throws unless the signatures of a commit are good; called before anything of it is written. */
export type CommitVerifier = (commit: SignedCommit) => Promise<void>;

export interface ImportSession {
  readonly options: ImportOptions;
  readonly image: ImageReader;
  readonly writer: RepoWriter;
  readonly fetcher: LayerFetcher;
  /** Undefined if the reference asks for no verification of the commit. */
  readonly verifyCommit: CommitVerifier | undefined;
}

/**
 * Opens a session, runs `steps` on it and closes it. Whatever fails in between, nothing that was
 * staged is left behind. Waits while another process has the repository for itself.
 */
export async function withImportSession<T>(
  options: ImportOptions,
  steps: (session: ImportSession) => Promise<T>,
): Promise<T> {
  const session = await openSession(options);
  try {
    return await inContextAsync(`importing ${session.image.name}`, () => steps(session));
  } finally {
    await closeSession(session);
  }
}

async function openSession(options: ImportOptions): Promise<ImportSession> {
  const { repo, fsync, signal } = options;
  const writer = await RepoWriter.open(repo, { fsync, signal });
  try {
    checkRepository(writer.repo, options);
    const image = await openAcceptedImage(options);
    const fetcher = new LayerFetcher(writer, image, options);
    return { options, image, writer, fetcher, verifyCommit: commitVerifier(writer, options) };
  } catch (error) {
    writer.close();
    throw error;
  }
}

async function closeSession({ fetcher, image, writer }: ImportSession): Promise<void> {
  try {
    await fetcher.close();
    await image.close?.();
  } finally {
    writer.close();
  }
}

/**
 * Plans an import without writing anything, and reports the event `planned`: what a pull or an
 * unencapsulate with the same options would fetch.
 * @param check throws for layers that the import would refuse; `checkOnlyCommit` for unencapsulate
 */
export async function previewImport(
  options: ImportOptions,
  check: LayerCheck = () => {},
): Promise<ImportPlan> {
  const repo = openRepo(options.repo);
  checkRepository(repo, options);
  const image = await openAcceptedImage(options);
  try {
    return await inContextAsync(`importing ${image.name}`, async () => {
      const plan = await planOf(repo, image, options, check);
      await plan.delta?.image.close?.();
      options.onEvent?.(plannedEvent(image, plan.counts, plan.delta));
      return plan;
    });
  } finally {
    await image.close?.();
  }
}

/**
 * Throws for what makes the import fail whatever the image is: a mode that cannot be written, or a
 * remote that the repository does not have. Nothing has been asked of a registry by then.
 */
function checkRepository(repo: OstreeRepo, { source: { verification } }: ImportOptions): void {
  checkContentWritable(repo.mode);
  if (verification.kind === 'remote') {
    signatureRules(repo, verification.remote);
  }
}

/**
 * Opens the image. Throws if the reference asks for the host's policy and the policy refuses the
 * image.
 */
async function openAcceptedImage({ source, transport = {} }: ImportOptions): Promise<ImageReader> {
  const image = await openImage(source.imgref, transport);
  if (source.verification.kind !== 'policy') {
    return image;
  }
  try {
    await enforcePolicy(source.imgref, image, transport);
    return image;
  } catch (error) {
    await image.close?.();
    throw error;
  }
}

/**
 * Plans the import of a session and reports what will be fetched.
 * @param check as that of {@link previewImport}
 */
export async function planSession(
  { image, writer, fetcher, options }: ImportSession,
  check: LayerCheck = () => {},
): Promise<ImportPlan> {
  const plan = await planOf(writer.repo, image, options, check);
  fetcher.follow(plan);
  options.onEvent?.(plannedEvent(image, plan.counts, plan.delta));
  return plan;
}

async function planOf(
  repo: OstreeRepo,
  image: ImageReader,
  options: ImportOptions,
  check: LayerCheck,
): Promise<ImportPlan> {
  const { log, signal, source, transport = {}, delta: choice = 'any' } = options;
  const plan = await planImport(repo, image);
  checkSignatureCovers(plan.layers, source.verification);
  check(plan.layers);
  return planDelta(repo, plan, { log, signal, choice, imgref: source.imgref, transport });
}

/** Returns what was done when the layers of a plan have been imported. */
export function importResult(
  { image, fetcher }: ImportSession,
  { counts }: ImportPlan,
): Omit<ImportResult, 'commit'> {
  return { manifestDigest: image.manifestDigest, ...counts, ...fetcher.counts };
}

/** Reports the event `planned` for an image of which nothing has to be fetched. */
export function announceNothing(session: ImportSession): Omit<ImportResult, 'commit'> {
  const { image, fetcher, options } = session;
  const counts: ImportCounts = {
    layersFetched: 0,
    layersPresent: image.manifest.layers.length,
    bytesFetched: 0,
    bytesByLayers: 0,
  };
  options.onEvent?.(plannedEvent(image, counts, undefined));
  return { manifestDigest: image.manifestDigest, ...counts, ...fetcher.counts };
}

function plannedEvent(
  { manifestDigest }: ImageReader,
  counts: ImportCounts,
  delta: PlannedDelta | undefined,
): PlannedEvent {
  return {
    event: 'planned',
    manifestDigest,
    layersNeeded: counts.layersFetched,
    layersPresent: counts.layersPresent,
    bytesNeeded: counts.bytesFetched,
    bytesByLayers: counts.bytesByLayers,
    delta: delta?.image.manifestDigest,
  };
}

/**
 * Throws `UNSUPPORTED` for an image with layers of files if only the commit is verified: its
 * signature says nothing about them.
 */
export function checkSignatureCovers(
  layers: readonly ReadLayer[],
  verification: Verification,
): void {
  const uncovered = layers.filter(holdsFiles).length;
  if (uncovered > 0 && verification.kind === 'remote') {
    const which = isPlain(layers)
      ? 'the image holds no ostree commit'
      : `the image has ${uncovered} derived layers`;
    throw new OstrataError(
      'UNSUPPORTED',
      `${which}, and the signature of an ostree remote covers the commit only; ` +
        'use ostree-image-signed',
    );
  }
}

function commitVerifier(writer: RepoWriter, options: ImportOptions): CommitVerifier | undefined {
  const { verification } = options.source;
  if (verification.kind !== 'remote') {
    return undefined;
  }
  return async (commit) => {
    const signatures = await verifySignatures(writer.repo, verification.remote, commit);
    for (const line of signatures) {
      options.log.info(line);
    }
  };
}
