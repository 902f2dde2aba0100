/**
 * Imports the layers that hold the ostree commit into a repository: the commit with its metadata
 * first, marked as partial; then the content; refs last.
 */
import { type ErrorCode, must, OstrataError } from '../../errors.js';
import { OSTREE_COMMIT } from '../../oci/annotations.js';
import type { ImageConfig } from '../../oci/types.js';
import { type Commit, decodeCommit } from '../../ostree/objects/commit.js';
import { decodeDirtree } from '../../ostree/objects/dirtree.js';
import {
  encodeObjectName,
  METADATA_KINDS,
  OBJECT_KINDS,
  parseObjectName,
} from '../../ostree/objects/object-name.js';
import { objectSet } from '../../ostree/objects/object-set.js';
import { type CommitObjects, commitObjects } from '../../ostree/objects/traverse.js';
import { contentExtension } from '../../ostree/write/content-writer.js';
import { hasWholeCommit } from '../../ostree/write/partial.js';
import type { StagedObjects } from '../../ostree/write/stage.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import type { CommitVerifier, ImportSession } from '../session.js';
import { blobRef, signedCommit, storedBlob } from '../stored.js';
import type { LayerFetcher } from './fetch.js';
import { FsyncThrottle } from './fsync-throttle.js';
import { type ImportPlan, type LayerToImport, layersToFetch, partialMarkerOf } from './plan.js';
import type { StagedLayer } from './worker.js';

/** Failures that do not cast doubt on the layers that were imported before. */
const INTERRUPTIONS: ReadonlySet<ErrorCode> = new Set(['IO', 'CANCELLED', 'NOT_FOUND']);

type NewRef = readonly [ref: string, commit: string];

/** A commit whose metadata objects are in the repository, and all objects that it needs. */
interface KnownCommit {
  readonly checksum: string;
  readonly objects: CommitObjects;
}

/** A layer that is verified, but not yet in the repository. */
interface StagedChunk {
  readonly stages: readonly StagedObjects[];
  readonly refs: readonly NewRef[];
}

/**
 * Imports the commit of the planned image and returns its checksum. By then the commit is complete
 * in the repository, and all its layers have refs. If the import is interrupted, layers that were
 * complete stay for the next one; if a layer is wrong, the refs that this import wrote are removed.
 * @param now returns the time in milliseconds; it decides how often the import waits for the disk
 */
export async function importCommit(
  session: Pick<ImportSession, 'writer' | 'fetcher' | 'verifyCommit'>,
  plan: ImportPlan,
  now: () => number = () => performance.now(),
): Promise<string> {
  return new CommitImport(session, plan, new FsyncThrottle(now)).run();
}

class CommitImport {
  readonly #writer: RepoWriter;
  readonly #fetcher: LayerFetcher;
  readonly #verifyCommit: CommitVerifier | undefined;
  readonly #plan: ImportPlan;
  readonly #throttle: FsyncThrottle;
  readonly #staged: StagedChunk[] = [];
  /** Refs that this import wrote. */
  readonly #writtenRefs: string[] = [];

  constructor(
    session: Pick<ImportSession, 'writer' | 'fetcher' | 'verifyCommit'>,
    plan: ImportPlan,
    throttle: FsyncThrottle,
  ) {
    this.#writer = session.writer;
    this.#fetcher = session.fetcher;
    this.#verifyCommit = session.verifyCommit;
    this.#plan = plan;
    this.#throttle = throttle;
  }

  async run(): Promise<string> {
    try {
      return await this.#import();
    } catch (error) {
      if (error instanceof OstrataError && INTERRUPTIONS.has(error.code)) {
        this.#keepStaged();
      } else {
        // Any layer that was published so far may be the wrong one.
        this.#dropWrittenRefs();
      }
      throw error;
    }
  }

  async #import(): Promise<string> {
    const { layers } = this.#plan;
    const first = layers.find(({ kind }) => kind === 'commit');
    const commitLayer = must(first, 'the commit layer');
    const commit =
      commitLayer.present === undefined
        ? await this.#fetchCommit(commitLayer)
        : await this.#loadCommit(commitLayer.present);

    const chunks = layers.filter(({ kind }) => kind === 'chunk');
    await this.#fetcher.fetchAll(
      layersToFetch(chunks),
      { kind: 'chunk' },
      (layer, staged, directory) => this.#stageChunk(layer, staged, directory, commit.objects),
    );
    this.#publishStaged();
    this.#complete(commit);

    const chunkRefs = chunks.flatMap((layer) =>
      layer.present === undefined ? [] : this.#newRefs(layer, layer.present),
    );
    this.#commitObjects([], [...chunkRefs, ...this.#newRefs(commitLayer, commit.checksum)]);
    return commit.checksum;
  }

  /** The commit of a layer that the repository has. */
  async #loadCommit(checksum: string): Promise<KnownCommit> {
    const { repo } = this.#writer;
    checkLabel(this.#plan.config, checksum);
    await this.#verifyCommit?.(signedCommit(repo, checksum));

    const { parsed } = repo.loadCommit(checksum, { partial: true });
    const objects = commitObjects(parsed, (dirtree) => repo.loadDirtree(dirtree).parsed);
    return { checksum, objects };
  }

  /** Brings the commit with its metadata into the repository, marked as partial unless whole. */
  async #fetchCommit(commitLayer: LayerToImport): Promise<KnownCommit> {
    return this.#fetcher.fetchOne(
      commitLayer,
      { kind: 'commit' },
      async (layer, staged, directory) => {
        const commit = await this.#checkStagedCommit(staged);

        const isWhole = hasWholeCommit(this.#writer.repo.path, commit.checksum);
        if (!isWhole) {
          this.#writer.markPartial(commit.checksum, '');
        }
        const names = staged.names.filter((name) => !this.#wouldReplaceSignatures(name));
        this.#writer.commit([{ directory, names }]);
        if (!isWhole) {
          this.#writer.markPartial(commit.checksum, partialMarkerOf(layer));
        }
        return commit;
      },
    );
  }

  /** Checks label, objects and signatures of a commit before anything of it is published. */
  async #checkStagedCommit(staged: StagedLayer): Promise<KnownCommit> {
    const { checksum, bytes } = stagedCommit(staged);
    checkLabel(this.#plan.config, checksum);
    const objects = stagedObjects(decodeCommit(bytes), staged);
    checkNothingExtra(staged.files, objects);

    const detached = staged.metadata.get(encodeObjectName(checksum, 'commitmeta'));
    await this.#verifyCommit?.({ checksum, bytes, detached });
    return { checksum, objects };
  }

  /** Whether `name` would replace signatures in the repository by some that nobody verified. */
  #wouldReplaceSignatures(name: string): boolean {
    const { kind } = parseObjectName(name, OBJECT_KINDS);
    return kind === 'commitmeta' && !this.#verifyCommit && this.#writer.has(name);
  }

  #stageChunk(
    layer: LayerToImport,
    { files, names }: StagedLayer,
    directory: string,
    objects: CommitObjects,
  ): void {
    checkNothingExtra(files, objects);

    const set = objectSet(files);
    const [, , setCommit] = set;
    this.#staged.push({
      stages: [{ directory, names }, this.#writer.stageMetadata(set)],
      refs: this.#newRefs(layer, setCommit.checksum),
    });
    if (this.#throttle.isDue(layer.descriptor.size) || !this.#writer.fsync) {
      this.#publishStaged();
    }
  }

  #publishStaged(): void {
    const chunks = this.#staged.splice(0);
    if (chunks.length === 0) {
      return;
    }
    const stages = chunks.flatMap((chunk) => chunk.stages);
    const refs = chunks.flatMap((chunk) => chunk.refs);
    this.#throttle.sync(() => this.#commitObjects(stages, refs));
  }

  /** Keeps complete layers for the next import; the error that interrupted this one is reported. */
  #keepStaged(): void {
    try {
      this.#publishStaged();
    } catch {
      // For example the disk is full, as the error that interrupted the import says already.
    }
  }

  #dropWrittenRefs(): void {
    for (const ref of this.#writtenRefs) {
      this.#writer.deleteRef(ref);
    }
  }

  #commitObjects(stages: readonly StagedObjects[], refs: readonly NewRef[]): void {
    this.#writer.commit(stages, refs);
    this.#writtenRefs.push(...refs.map(([ref]) => ref));
  }

  /** Removes the partial mark of the commit; throws `CORRUPT` if any of its objects is missing. */
  #complete({ checksum, objects }: KnownCommit): void {
    const extension = contentExtension(this.#writer.repo.mode);
    const content = [...objects.files].map((file) => encodeObjectName(file, extension));
    const missing = [...objects.metadata, ...content].filter((name) => !this.#writer.has(name));
    if (missing.length > 0) {
      throw new OstrataError(
        'CORRUPT',
        `${missing.length} objects of commit ${checksum} are in no layer, ` +
          `the first is ${missing[0]}`,
      );
    }
    this.#writer.unmarkPartial(checksum);
  }

  /**
   * Returns the ref that makes the layer's commit known, or none if the repository has that ref and
   * the whole commit.
   */
  #newRefs({ descriptor }: LayerToImport, commit: string): readonly NewRef[] {
    const { repo } = this.#writer;
    const { digest } = descriptor;
    const hasRef = storedBlob(repo, digest) === commit && hasWholeCommit(repo.path, commit);
    return hasRef ? [] : [[blobRef(digest), commit]];
  }
}

/** The commit object, which is the first of its layer. */
function stagedCommit({ metadata }: StagedLayer): {
  readonly checksum: string;
  readonly bytes: Uint8Array;
} {
  const [first] = metadata;
  const [name, bytes] = must(first, 'the first object of the commit layer');
  const { checksum } = parseObjectName(name, ['commit']);
  return { checksum, bytes };
}

/** Throws `CORRUPT` if the image's label names another commit than its layer holds. */
function checkLabel(config: ImageConfig, commit: string): void {
  const label = config.config?.Labels?.[OSTREE_COMMIT];
  if (label !== undefined && label !== commit) {
    throw new OstrataError(
      'CORRUPT',
      `label ${OSTREE_COMMIT} is ${label}, the commit is ${commit}`,
    );
  }
}

/** The objects of a commit; throws `CORRUPT` unless its layer has exactly its metadata objects. */
function stagedObjects(parsed: Commit, { metadata }: StagedLayer): CommitObjects {
  const objects = commitObjects(parsed, (checksum) => {
    const name = encodeObjectName(checksum, 'dirtree');
    const bytes = metadata.get(name);
    if (bytes === undefined) {
      throw new OstrataError('CORRUPT', `object ${name} is missing`);
    }
    return decodeDirtree(bytes);
  });

  for (const name of objects.metadata) {
    if (!metadata.has(name)) {
      throw new OstrataError('CORRUPT', `object ${name} is missing`);
    }
  }
  for (const name of metadata.keys()) {
    const { kind } = parseObjectName(name, METADATA_KINDS);
    const isOfTree = kind === 'dirtree' || kind === 'dirmeta';
    if (isOfTree && !objects.metadata.has(name)) {
      throw new OstrataError('CORRUPT', `object ${name} is in no tree of the commit`);
    }
  }
  return objects;
}

/** Throws `CORRUPT` if a layer holds a content object that the commit does not name. */
function checkNothingExtra(found: readonly string[], { files }: CommitObjects): void {
  const extra = found.find((checksum) => !files.has(checksum));
  if (extra !== undefined) {
    throw new OstrataError('CORRUPT', `content object ${extra} is in no tree of the commit`);
  }
}
