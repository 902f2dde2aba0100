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
import { type FetchEvent, type FetchOptions, LayerFetcher } from './import/fetch.js';
import { type ImportCounts, type ImportPlan, planImport } from './import/plan.js';
import type { OstreeImgref, Verification } from './verify/ostree-image-reference.js';
import { enforcePolicy } from './verify/policy.js';

export interface ImportOptions extends Omit<FetchOptions, 'onEvent'> {
  /** Path of the ostree repository. */
  readonly repo: string;
  /** The image, and how it is verified. */
  readonly source: OstreeImgref;
  /** How the image is reached. */
  readonly transport?: TransportOptions | undefined;
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
  /** Compressed size of the layers that are needed. */
  readonly bytesNeeded: number;
}

export type ImportEvent = FetchEvent | PlannedEvent;

export interface ImportResult extends ImportCounts {
  /** Checksum of the ostree commit. */
  readonly commit: string;
  readonly manifestDigest: string;
}

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
  check: (layers: readonly ReadLayer[]) => void = () => {},
): Promise<ImportPlan> {
  const repo = openRepo(options.repo);
  checkRepository(repo, options);
  const image = await openAcceptedImage(options);
  try {
    return await inContextAsync(`importing ${image.name}`, async () => {
      const plan = await planImport(repo, image);
      checkSignatureCovers(plan.layers, options.source.verification);
      check(plan.layers);
      options.onEvent?.(plannedEvent(image, plan.counts));
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

/** Reports what will be fetched: the event `planned`, and the size that progress counts up to. */
export function announcePlan(session: ImportSession, counts: ImportCounts): void {
  session.fetcher.totalBytes = counts.bytesFetched;
  session.options.onEvent?.(plannedEvent(session.image, counts));
}

function plannedEvent({ manifestDigest }: ImageReader, counts: ImportCounts): PlannedEvent {
  return {
    event: 'planned',
    manifestDigest,
    layersNeeded: counts.layersFetched,
    layersPresent: counts.layersPresent,
    bytesNeeded: counts.bytesFetched,
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
