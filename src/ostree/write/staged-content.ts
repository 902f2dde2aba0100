/** Reads content objects that are staged, and those of the repository. */
import { linkSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ByteStream } from '../../bytes/stream.js';
import type { ContentStore } from '../content.js';
import type { FileInfo } from '../objects/file.js';
import { OBJECT_KINDS, objectPath, parseObjectName } from '../objects/object-name.js';
import { createContentStore, type OstreeRepo } from '../repo.js';

export class StagedContent {
  readonly #repo: OstreeRepo;
  readonly #staged: ContentStore;

  /** @param directory an empty one on the repository's file system: staged objects are linked to where a repository has them */
  constructor(
    repo: OstreeRepo,
    directory: string,
    stages: readonly { readonly stage: string; readonly names: readonly string[] }[],
  ) {
    this.#repo = repo;
    const linked = new Set<string>();
    for (const { stage, names } of stages) {
      for (const name of names) {
        if (linked.has(name)) {
          continue;
        }
        linked.add(name);
        const { checksum, kind } = parseObjectName(name, OBJECT_KINDS);
        const path = join(directory, objectPath(checksum, kind));
        mkdirSync(dirname(path), { recursive: true });
        linkSync(join(stage, name), path);
      }
    }
    this.#staged = createContentStore(directory, repo.mode);
  }

  info(checksum: string): FileInfo {
    return this.#staged.info(checksum) ?? this.#repo.fileInfo(checksum);
  }

  read(checksum: string, info: FileInfo): ByteStream {
    return this.#staged.info(checksum) === undefined
      ? this.#repo.readFile(checksum, info)
      : this.#staged.read(checksum, info);
  }
}
