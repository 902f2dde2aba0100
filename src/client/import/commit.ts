/** The layers that hold the ostree commit, into a repository: the commit first, then its content, refs last. */
import { type ErrorCode, OstrataError } from '../../errors.js';
import { OSTREE_COMMIT } from '../../oci/annotations.js';
import type { ImageConfig } from '../../oci/types.js';
import { type Commit, decodeCommit } from '../../ostree/objects/commit.js';
import { decodeDirtree } from '../../ostree/objects/dirtree.js';
import { objectSet } from '../../ostree/objects/object-set.js';
import { type CommitObjects, commitObjects } from '../../ostree/objects/traverse.js';
import type { SignedCommit } from '../../ostree/sign/verify.js';
import { contentExtension } from '../../ostree/write/content-writer.js';
import { hasWholeCommit } from '../../ostree/write/partial.js';
import type { StagedObjects } from '../../ostree/write/stage.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import { blobRef, storedBlob } from '../stored.js';
import type { LayerFetcher } from './fetch.js';
import { FsyncThrottle } from './fsync-throttle.js';
import { type ImportPlan, type LayerToImport, partialMarkerOf } from './plan.js';
import type { StagedLayer } from './worker.js';

/**
 * Failures that say nothing against the layers that are there, a blob that cannot be found too: the next import goes on
 * with them.
 */
const INTERRUPTIONS: ReadonlySet<ErrorCode> = new Set(['IO', 'CANCELLED', 'NOT_FOUND']);

type NewRef = readonly [ref: string, commit: string];

/** Verifies the signatures of a commit; called before anything of it is written. */
export type CommitVerifier = (commit: SignedCommit) => Promise<void>;

/** Returns the commit. It is whole then, and all its layers have their refs. */
export async function importCommit(
  writer: RepoWriter,
  fetcher: LayerFetcher,
  plan: ImportPlan,
  verify: CommitVerifier | undefined,
  now: () => number = () => performance.now(),
): Promise<string> {
  return new CommitImport(writer, fetcher, plan, verify, new FsyncThrottle(now)).run();
}

class CommitImport {
  readonly #writer: RepoWriter;
  readonly #fetcher: LayerFetcher;
  readonly #plan: ImportPlan;
  readonly #verify: CommitVerifier | undefined;
  /** Refs of layers that this import wrote. */
  readonly #written: string[] = [];
  /** Layers that are verified and not yet in the repository. */
  readonly #staged: {
    readonly stages: readonly StagedObjects[];
    readonly refs: readonly NewRef[];
  }[] = [];
  readonly #pace: FsyncThrottle;

  constructor(
    writer: RepoWriter,
    fetcher: LayerFetcher,
    plan: ImportPlan,
    verify: CommitVerifier | undefined,
    pace: FsyncThrottle,
  ) {
    this.#writer = writer;
    this.#fetcher = fetcher;
    this.#plan = plan;
    this.#verify = verify;
    this.#pace = pace;
  }

  async run(): Promise<string> {
    const layers = this.#plan.layers.filter(({ kind }) => kind !== 'derived');
    const [first, ...chunks] = layers as [LayerToImport, ...LayerToImport[]];
    try {
      const { commit, objects } = await (first.present === undefined
        ? this.#fetchCommit(first)
        : this.#presentCommit(first.present));
      const missing = chunks.filter(({ present }) => present === undefined);
      await this.#fetcher.fetch(missing, { kind: 'chunk' }, (layer, staged, directory) => {
        this.#chunk(layer, staged, directory, objects);
      });
      this.#publish();
      this.#complete(commit, objects);
      const present = chunks.flatMap((layer) =>
        layer.present === undefined ? [] : this.#newRef(layer, layer.present),
      );
      this.#commitRefs([], [...present, ...this.#newRef(first, commit)]);
      return commit;
    } catch (error) {
      if (error instanceof OstrataError && INTERRUPTIONS.has(error.code)) {
        this.#keepStaged();
      }
      // What is wrong with the image may be the fault of any layer.
      else {
        for (const ref of this.#written) {
          this.#writer.deleteRef(ref);
        }
      }
      throw error;
    }
  }

  async #presentCommit(commit: string): Promise<{ commit: string; objects: CommitObjects }> {
    const { repo } = this.#writer;
    checkLabel(this.#plan.config, commit);
    const { bytes, parsed } = repo.loadCommit(commit, { partial: true });
    await this.#verify?.({ checksum: commit, bytes, detached: repo.loadCommitMeta(commit)?.bytes });
    return {
      commit,
      objects: commitObjects(parsed, (checksum) => repo.loadDirtree(checksum).parsed),
    };
  }

  /** The commit with its metadata: in the repository, marked as partial unless it is whole. */
  async #fetchCommit(first: LayerToImport): Promise<{ commit: string; objects: CommitObjects }> {
    let result: { commit: string; objects: CommitObjects } | undefined;
    await this.#fetcher.fetch([first], { kind: 'commit' }, async (layer, staged, directory) => {
      const { commit, bytes } = stagedCommit(staged);
      checkLabel(this.#plan.config, commit);
      const objects = stagedObjects(decodeCommit(bytes), staged);
      checkWanted(staged.files, objects);
      await this.#verify?.({
        checksum: commit,
        bytes,
        detached: staged.metadata.get(`${commit}.commitmeta`),
      });
      const isWhole = hasWholeCommit(this.#writer.repo.path, commit);
      if (!isWhole) {
        this.#writer.markPartial(commit, '');
      }
      const names = staged.names.filter((name) => !this.#keepsSignatures(name));
      this.#writer.commit([{ directory, names }]);
      if (!isWhole) {
        this.#writer.markPartial(commit, partialMarkerOf(layer));
      }
      result = { commit, objects };
    });
    return result as NonNullable<typeof result>;
  }

  /** Whether the repository has signatures that are not to be replaced by what nobody verified. */
  #keepsSignatures(name: string): boolean {
    return name.endsWith('.commitmeta') && this.#verify === undefined && this.#writer.has(name);
  }

  #chunk(
    layer: LayerToImport,
    { files, names }: StagedLayer,
    directory: string,
    objects: CommitObjects,
  ): void {
    checkWanted(files, objects);
    const set = objectSet(files);
    const refs = this.#newRef(layer, set[2].checksum);
    this.#staged.push({ stages: [{ directory, names }, this.#writer.stageMetadata(set)], refs });
    if (this.#pace.isDue(layer.descriptor.size) || !this.#writer.fsync) {
      this.#publish();
    }
  }

  /** Takes all layers that are staged into the repository. */
  #publish(): void {
    const staged = this.#staged.splice(0);
    if (staged.length === 0) {
      return;
    }
    const stages = staged.flatMap((layer) => layer.stages);
    const refs = staged.flatMap((layer) => layer.refs);
    this.#pace.sync(() => this.#commitRefs(stages, refs));
  }

  /** What is complete is not fetched again. Where the disk is full that may fail too, which says no more than the first failure. */
  #keepStaged(): void {
    try {
      this.#publish();
    } catch {}
  }

  #commitRefs(stages: readonly StagedObjects[], refs: readonly NewRef[]): void {
    this.#writer.commit(stages, refs);
    this.#written.push(...refs.map(([ref]) => ref));
  }

  /** Proves that every object is there; then the commit is no longer partial. */
  #complete(commit: string, { metadata, files }: CommitObjects): void {
    const extension = contentExtension(this.#writer.repo.mode);
    const names = [...metadata, ...[...files].map((checksum) => `${checksum}.${extension}`)];
    const missing = names.filter((name) => !this.#writer.has(name));
    if (missing.length > 0) {
      throw new OstrataError(
        'CORRUPT',
        `${missing.length} objects of commit ${commit} are in no layer, the first is ${missing[0]}`,
      );
    }
    this.#writer.unmarkPartial(commit);
  }

  /** None where the layer has that ref already, and nothing was lost since. */
  #newRef({ descriptor: { digest } }: LayerToImport, commit: string): readonly NewRef[] {
    const { repo } = this.#writer;
    const isThere = storedBlob(repo, digest) === commit && hasWholeCommit(repo.path, commit);
    return isThere ? [] : [[blobRef(digest), commit]];
  }
}

function stagedCommit({ metadata }: StagedLayer): { commit: string; bytes: Uint8Array } {
  // The reader of the layer has seen to it that it begins with a commit.
  const [[name, bytes]] = [...metadata] as [[string, Uint8Array]];
  return { commit: name.slice(0, -'.commit'.length), bytes };
}

function checkLabel(config: ImageConfig, commit: string): void {
  const label = config.config?.Labels?.[OSTREE_COMMIT];
  if (label !== undefined && label !== commit) {
    throw new OstrataError(
      'CORRUPT',
      `label ${OSTREE_COMMIT} is ${label}, the commit is ${commit}`,
    );
  }
}

/** The objects of a commit whose layer must hold exactly its metadata. */
function stagedObjects(parsed: Commit, { metadata }: StagedLayer): CommitObjects {
  const objects = commitObjects(parsed, (checksum) => {
    const bytes = metadata.get(`${checksum}.dirtree`);
    if (bytes === undefined) {
      throw new OstrataError('CORRUPT', `object ${checksum}.dirtree is missing`);
    }
    return decodeDirtree(bytes);
  });
  for (const name of objects.metadata) {
    if (!metadata.has(name)) {
      throw new OstrataError('CORRUPT', `object ${name} is missing`);
    }
  }
  for (const name of metadata.keys()) {
    if (/\.dir(tree|meta)$/.test(name) && !objects.metadata.has(name)) {
      throw new OstrataError('CORRUPT', `object ${name} is in no tree of the commit`);
    }
  }
  return objects;
}

function checkWanted(found: readonly string[], { files }: CommitObjects): void {
  const extra = found.find((checksum) => !files.has(checksum));
  if (extra !== undefined) {
    throw new OstrataError('CORRUPT', `content object ${extra} is in no tree of the commit`);
  }
}
