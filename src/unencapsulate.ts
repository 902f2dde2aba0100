/** An image in, its ostree commit in a repository out: transport -> image -> layers -> objects -> refs. */
import { inContextAsync, OstrataError } from './errors.js';
import { classifyLayers, type ReadLayer } from './image/encapsulated.js';
import { blobRef, digestsByDiffId, storedBlob } from './image/stored.js';
import { ImportWorker, type StagedLayer } from './layers/import.js';
import type { Logger } from './log.js';
import { OSTREE_COMMIT } from './oci/annotations.js';
import { type ImageConfig, parseConfig } from './oci/types.js';
import { type Commit, decodeCommit } from './ostree/commit.js';
import { decodeDirtree } from './ostree/dirtree.js';
import { isChecksum } from './ostree/objects.js';
import { objectSet } from './ostree/objectset.js';
import { hasWholeCommit, partialNote } from './ostree/partial.js';
import { type OstreeRepo, openRepo } from './ostree/repo.js';
import { type SignedCommit, verifySignatures } from './ostree/sign.js';
import { hasObject } from './ostree/stage.js';
import { type CommitObjects, commitObjects } from './ostree/traverse.js';
import { RepoWriter } from './ostree/write.js';
import { contentExtension } from './ostree/write-content.js';
import { checkRefName } from './ostree/write-refs.js';
import { openImage } from './transports/imgref.js';
import type { OstreeImgref } from './transports/ostree-imgref.js';
import { enforcePolicy } from './transports/policy.js';
import type { ImageReader, TransportOptions } from './transports/transport.js';

export interface ImportOptions {
  /** Path of the ostree repository. */
  readonly repo: string;
  readonly source: OstreeImgref;
  /** Worker threads, each imports one layer at a time. */
  readonly jobs: number;
  /** How the image is reached. */
  readonly transport?: TransportOptions;
  /** Whether what is referenced must be on the disk first; by default what the repository's config says. */
  readonly fsync?: boolean;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Called with each step. */
  readonly onEvent?: (event: ImportEvent) => void;
}

export type ImportEvent =
  | {
      readonly event: 'planned';
      readonly manifestDigest: string;
      readonly layersNeeded: number;
      readonly layersPresent: number;
      readonly bytesNeeded: number;
    }
  | { readonly event: 'fetching'; readonly layer: number; readonly digest: string; readonly size: number }
  | { readonly event: 'imported'; readonly layer: number; readonly digest: string; readonly objects: number };

export interface ImportResult {
  /** The ostree commit. */
  readonly commit: string;
  readonly manifestDigest: string;
  readonly layersFetched: number;
  readonly layersPresent: number;
  /** Compressed bytes of the layers that were fetched. */
  readonly bytesFetched: number;
}

/** A layer and what the repository has of it. */
export interface PlannedLayer extends ReadLayer {
  /** Place in the manifest. */
  readonly index: number;
  /** The commit it was imported as; undefined: it is to be fetched. */
  readonly present: string | undefined;
}

export interface ImportPlan {
  readonly image: ImageReader;
  readonly configBytes: Uint8Array;
  readonly config: ImageConfig;
  readonly layers: readonly PlannedLayer[];
}

/** Fetches the commit that an image holds, into the repository, and its layers' refs; `writeRef` names the commit too. */
export async function unencapsulate(options: ImportOptions & { readonly writeRef?: string }): Promise<ImportResult> {
  if (options.writeRef !== undefined) checkRefName(options.writeRef);
  return withSource(options, async (image, writer) => {
    const plan = await planImport(writer.repo, image, options);
    const derived = plan.layers.filter(({ kind }) => kind === 'derived').length;
    if (derived > 0)
      throw new OstrataError(
        'UNSUPPORTED',
        `${plan.image.name} has ${derived} layers that are no part of the commit; pull it with: container image pull`,
      );
    const commit = await importCommit(writer, plan, options);
    if (options.writeRef !== undefined) writer.setRef(options.writeRef, commit);
    return { commit, ...planCounts(plan) };
  });
}

/** What would be fetched; nothing is written. */
export async function planUnencapsulate(options: ImportOptions): Promise<ImportPlan> {
  return withImage(options, (image) => planImport(openRepo(options.repo), image, options));
}

/** Runs `body` with the opened image, and with the repository locked; nothing staged is left behind. */
export async function withSource<T>(
  options: ImportOptions,
  body: (image: ImageReader, writer: RepoWriter) => Promise<T>,
): Promise<T> {
  const { fsync, signal } = options;
  const writer = await RepoWriter.open(options.repo, { ...(fsync !== undefined && { fsync }), signal });
  try {
    return await withImage(options, (image) => body(image, writer));
  } finally {
    writer.close();
  }
}

/** The image is one that the policy accepts, where the reference asks for that. */
async function withImage<T>(
  { source, transport = {} }: ImportOptions,
  body: (image: ImageReader) => Promise<T>,
): Promise<T> {
  const image = await openImage(source.imgref, transport);
  try {
    if (source.verification.kind === 'policy') await enforcePolicy(source.imgref, image, transport);
    return await body(image);
  } finally {
    await image.close?.();
  }
}

/** Which layers must be fetched. Reads manifest and config only. */
export async function planImport(
  repo: OstreeRepo,
  image: ImageReader,
  { source, onEvent }: ImportOptions,
): Promise<ImportPlan> {
  return inContextAsync(`importing ${image.name}`, async () => {
    const configBytes = await image.config();
    const config = parseConfig(configBytes);
    const known = digestsByDiffId(repo);
    const layers = classifyLayers(image.manifest, config).map((layer, index) => {
      const sameContent = known.get(layer.diffId);
      const digests = [layer.descriptor.digest, ...(sameContent === undefined ? [] : [sameContent])];
      const stored = digests
        .map((digest) => storedBlob(repo, digest))
        .find((each) => each && hasWholeCommit(repo.path, each));
      return {
        ...layer,
        index,
        present: stored ?? (layer.kind === 'commit' ? partialCommit(repo, layer, config) : undefined),
      };
    });
    const derived = layers.filter(({ kind }) => kind === 'derived').length;
    if (derived > 0 && source.verification.kind === 'remote')
      throw new OstrataError(
        'UNSUPPORTED',
        `it has ${derived} derived layers, and the signature of an ostree remote covers the commit only`,
      );
    const plan = { image, configBytes, config, layers };
    const { manifestDigest, layersFetched, layersPresent, bytesFetched } = planCounts(plan);
    onEvent?.({
      event: 'planned',
      manifestDigest,
      layersNeeded: layersFetched,
      layersPresent,
      bytesNeeded: bytesFetched,
    });
    return plan;
  });
}

/** Counts as they are when all that is needed was fetched. */
export function planCounts({ image, layers }: ImportPlan): Omit<ImportResult, 'commit'> {
  const needed = layers.filter(({ present }) => present === undefined);
  return {
    manifestDigest: image.manifestDigest,
    layersFetched: needed.length,
    layersPresent: layers.length - needed.length,
    bytesFetched: needed.reduce((sum, { descriptor }) => sum + descriptor.size, 0),
  };
}

/** The note of a partial commit names the layer it came from: an import that was interrupted goes on behind it. */
const noteOf = ({ diffId }: ReadLayer) => `layer ${diffId}\n`;

function partialCommit(repo: OstreeRepo, layer: ReadLayer, config: ImageConfig): string | undefined {
  const commit = config.config?.Labels?.[OSTREE_COMMIT] ?? '';
  const isThere = isChecksum(commit) && partialNote(repo.path, commit) === noteOf(layer);
  return isThere && hasObject(repo.path, `${commit}.commit`) ? commit : undefined;
}

/** Imports the layers that hold the commit. It is whole when this returns, and the layers have their refs. */
export async function importCommit(writer: RepoWriter, plan: ImportPlan, options: ImportOptions): Promise<string> {
  return inContextAsync(`importing ${plan.image.name}`, () => new CommitImport(writer, plan, options).run());
}

class CommitImport {
  readonly #writer: RepoWriter;
  readonly #plan: ImportPlan;
  readonly #options: ImportOptions;
  readonly #total: number;
  #done = 0;
  /** Refs of layers that this import wrote. */
  readonly #written: string[] = [];

  constructor(writer: RepoWriter, plan: ImportPlan, options: ImportOptions) {
    this.#writer = writer;
    this.#plan = plan;
    this.#options = options;
    this.#total = planCounts(plan).bytesFetched;
  }

  async run(): Promise<string> {
    const layers = this.#plan.layers.filter(({ kind }) => kind !== 'derived');
    const [first, ...chunks] = layers as [PlannedLayer, ...PlannedLayer[]];
    // The largest first: the last worker to end decides how long all takes.
    const queue = chunks
      .filter(({ present }) => present === undefined)
      .sort((a, b) => b.descriptor.size - a.descriptor.size);
    const count = Math.max(1, Math.min(this.#options.jobs, queue.length));
    const workers = Array.from(
      { length: first.present !== undefined && queue.length === 0 ? 0 : count },
      () => new ImportWorker(),
    );
    try {
      const { commit, objects } = await this.#commit(first, workers[0]);
      await Promise.all(
        workers.map(async (worker) => {
          for (let next = queue.shift(); next !== undefined; next = queue.shift())
            await this.#chunk(next, worker, objects);
        }),
      );
      this.#complete(commit, objects);
      for (const layer of chunks) if (layer.present !== undefined) this.#setRef(layer, layer.present);
      this.#setRef(first, commit);
      return commit;
    } catch (error) {
      // What is wrong with the commit may be the fault of any layer.
      if (error instanceof OstrataError && error.code === 'CORRUPT')
        for (const ref of this.#written) this.#writer.deleteRef(ref);
      throw error;
    } finally {
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
  }

  /** The commit with its metadata: in the repository, marked as partial unless it is whole. */
  async #commit(
    layer: PlannedLayer,
    worker: ImportWorker | undefined,
  ): Promise<{ commit: string; objects: CommitObjects }> {
    const { repo } = this.#writer;
    if (layer.present !== undefined || worker === undefined) {
      const commit = layer.present as string;
      const { bytes, parsed } = repo.loadCommit(commit, { partial: true });
      await this.#verify({ checksum: commit, bytes, detached: repo.loadCommitMeta(commit)?.bytes });
      return { commit, objects: commitObjects(parsed, (checksum) => repo.loadDirtree(checksum).parsed) };
    }
    const { directory, staged } = await this.#fetch(layer, worker, 'commit');
    return inContextAsync(`layer ${layer.index}`, async () => {
      const { commit, parsed } = stagedCommit(staged, this.#plan.config);
      const objects = stagedObjects(parsed, staged);
      for (const checksum of staged.files) checkWanted(checksum, objects);
      const bytes = staged.metadata.get(`${commit}.commit`) as Uint8Array;
      await this.#verify({ checksum: commit, bytes, detached: staged.metadata.get(`${commit}.commitmeta`) });
      const isWhole = hasWholeCommit(this.#writer.repo.path, commit);
      if (!isWhole) this.#writer.markPartial(commit, '');
      this.#writer.publish(
        directory,
        staged.names.filter((name) => !this.#keepsSignature(name)),
      );
      if (!isWhole) this.#writer.markPartial(commit, noteOf(layer));
      return { commit, objects };
    });
  }

  /** Before anything of the commit is written. */
  async #verify(commit: SignedCommit): Promise<void> {
    const { verification } = this.#options.source;
    if (verification.kind !== 'remote') return;
    for (const line of await verifySignatures(this.#writer.repo, verification.remote, commit))
      this.#options.log.info(line);
  }

  /** Whether the repository has signatures that are not to be replaced by what nobody verified. */
  #keepsSignature(name: string): boolean {
    return (
      name.endsWith('.commitmeta') && this.#options.source.verification.kind !== 'remote' && this.#writer.has(name)
    );
  }

  async #chunk(layer: PlannedLayer, worker: ImportWorker, objects: CommitObjects): Promise<void> {
    const { directory, staged } = await this.#fetch(layer, worker, 'chunk');
    await inContextAsync(`layer ${layer.index}`, async () => {
      for (const checksum of staged.files) checkWanted(checksum, objects);
      this.#writer.publish(directory, staged.names);
      const set = objectSet(staged.files);
      this.#writer.writeMetadata(set);
      this.#setRef(layer, set[2].checksum);
    });
  }

  async #fetch(
    layer: PlannedLayer,
    worker: ImportWorker,
    role: 'commit' | 'chunk',
  ): Promise<{ directory: string; staged: StagedLayer }> {
    const { descriptor, diffId, index } = layer;
    const { log, signal, onEvent } = this.#options;
    return inContextAsync(`layer ${index} (${descriptor.digest})`, async () => {
      onEvent?.({ event: 'fetching', layer: index, digest: descriptor.digest, size: descriptor.size });
      const directory = this.#writer.createStage();
      const task = { descriptor, diffId, role, target: this.#writer.target, directory };
      const staged = await worker.import(task, this.#plan.image.blob(descriptor), signal, (bytes) => {
        this.#done += bytes;
        log.progress('fetching layers', this.#done, this.#total);
      });
      onEvent?.({ event: 'imported', layer: index, digest: descriptor.digest, objects: staged.files.length });
      return { directory, staged };
    });
  }

  /** Proves that every object is there; then the commit is no longer partial. */
  #complete(commit: string, { metadata, files }: CommitObjects): void {
    const extension = contentExtension(this.#writer.repo.mode);
    const names = [...metadata, ...[...files].map((checksum) => `${checksum}.${extension}`)];
    const missing = names.filter((name) => !this.#writer.has(name));
    if (missing.length > 0)
      throw new OstrataError(
        'CORRUPT',
        `${missing.length} objects of commit ${commit} are in no layer, the first is ${missing[0]}`,
      );
    this.#writer.unmarkPartial(commit);
  }

  #setRef({ descriptor }: PlannedLayer, commit: string): void {
    const ref = blobRef(descriptor.digest);
    if (storedBlob(this.#writer.repo, descriptor.digest) === commit) return;
    this.#writer.setRef(ref, commit);
    this.#written.push(ref);
  }
}

function stagedCommit({ metadata }: StagedLayer, config: ImageConfig): { commit: string; parsed: Commit } {
  const [[name, bytes]] = metadata as unknown as [[string, Uint8Array]];
  const commit = name.slice(0, -'.commit'.length);
  const label = config.config?.Labels?.[OSTREE_COMMIT];
  if (label !== undefined && label !== commit)
    throw new OstrataError('CORRUPT', `label ${OSTREE_COMMIT} is ${label}, the commit is ${commit}`);
  return { commit, parsed: decodeCommit(bytes) };
}

/** The objects of a commit whose layer must hold exactly its metadata. */
function stagedObjects(parsed: Commit, { metadata }: StagedLayer): CommitObjects {
  const objects = commitObjects(parsed, (checksum) => {
    const bytes = metadata.get(`${checksum}.dirtree`);
    if (bytes === undefined) throw new OstrataError('CORRUPT', `object ${checksum}.dirtree is missing`);
    return decodeDirtree(bytes);
  });
  for (const name of objects.metadata)
    if (!metadata.has(name)) throw new OstrataError('CORRUPT', `object ${name} is missing`);
  for (const name of metadata.keys())
    if (/\.dir(tree|meta)$/.test(name) && !objects.metadata.has(name))
      throw new OstrataError('CORRUPT', `object ${name} is in no tree of the commit`);
  return objects;
}

function checkWanted(checksum: string, { files }: CommitObjects): void {
  if (!files.has(checksum)) throw new OstrataError('CORRUPT', `content object ${checksum} is in no tree of the commit`);
}
