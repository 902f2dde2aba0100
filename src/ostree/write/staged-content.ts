/** Reads content objects that are staged, and those of the repository they are staged for. */
import { linkSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ByteStream } from '../../bytes/stream.js';
import type { ContentStore } from '../content.js';
import type { FileInfo } from '../objects/file.js';
import { OBJECT_KINDS, objectPath, parseObjectName } from '../objects/object-name.js';
import { createContentStore, type OstreeRepo } from '../repo.js';

/** The objects of one stage. */
interface StageContents {
  /** The directory of the stage; undefined if there are no objects. */
  readonly stage: string | undefined;
  /** The names of its objects. */
  readonly names: readonly string[];
}

export class StagedContent {
  readonly #repo: OstreeRepo;
  readonly #staged: ContentStore;

  /**
   * @param directory an empty one on the repository's file system: staged objects are linked into
   *   it at the paths that they have in a repository
   */
  constructor(repo: OstreeRepo, directory: string, stages: readonly StageContents[]) {
    this.#repo = repo;
    const linked = new Set<string>();
    for (const { stage, names } of stages) {
      for (const name of names) {
        if (stage !== undefined && !linked.has(name)) {
          linkInto(directory, stage, name);
          linked.add(name);
        }
      }
    }
    this.#staged = createContentStore(directory, repo.mode);
  }

  /**
   * Returns the metadata of a content object. Throws `NOT_FOUND` if neither the stages nor the
   * repository have it.
   */
  info(checksum: string): FileInfo {
    return this.#staged.info(checksum) ?? this.#repo.fileInfo(checksum);
  }

  /** Whether a stage has the content object; the repository may have it, too. */
  isStaged(checksum: string): boolean {
    return this.#staged.info(checksum) !== undefined;
  }

  /** Reads a regular file. Staged content is not verified again. */
  read(checksum: string, info: FileInfo): ByteStream {
    return this.isStaged(checksum)
      ? this.#staged.read(checksum, info)
      : this.#repo.readFile(checksum, info);
  }
}

function linkInto(directory: string, stage: string, name: string): void {
  const { checksum, kind } = parseObjectName(name, OBJECT_KINDS);
  const path = join(directory, objectPath(checksum, kind));
  mkdirSync(dirname(path), { recursive: true });
  linkSync(join(stage, name), path);
}
