/**
 * Files that were moved after their packages installed them: kernels, `/etc` that became
 * `/usr/etc`, what a build put elsewhere. No package claims their paths, but their content is that
 * of a file that a package shipped and that is not at its path. This is the rule of chunkah.
 */
import { must } from '../errors.js';
import type { Context } from '../log.js';
import type { Claims, ComponentFacts, MissingFile, ShippedFile } from '../plugin.js';
import type { FileEntry, RegularFile, Tree, TreePath } from '../tree/tree.js';
import { contentDigest, DIGEST_ALGORITHMS, type DigestAlgorithm } from './shipped.js';

/** Stands for content that files of several components have: it shows nothing. */
const AMBIGUOUS = 'ambiguous';

/**
 * Returns claims on the files of `tree` that none of `claims` owns for certain and that were moved.
 * Empty files never count as moved. Files whose content digest is not known, as in a commit, are
 * left alone: nobody has read their content yet, and this is not worth reading it.
 */
export async function movedFileClaims(
  tree: Tree,
  claims: readonly Claims[],
  { log, signal }: Context,
): Promise<Claims> {
  const candidates = [...tree.files].filter((entry) => isCandidate(entry, claims));
  const missing = new MissingFiles(candidates.length === 0 ? [] : claims);
  const moved = new Map<TreePath, MissingFile>();
  for (const file of candidates) {
    signal.throwIfAborted();
    const found = await missing.find(tree, file);
    if (found !== undefined) {
      moved.set(file.path, found);
    }
  }

  log.info(`moved files: ${moved.size} belong to the packages that installed them elsewhere`);
  return {
    components: componentsOf(moved.values(), claims),
    strong({ path }) {
      const found = moved.get(path);
      return found === undefined ? [] : [found.component];
    },
    shipped: (path) => moved.get(path)?.file,
  };
}

function isCandidate(entry: FileEntry, claims: readonly Claims[]): entry is RegularFile {
  const isKnown = entry.type === 'file' && entry.size > 0 && entry.contentDigest !== undefined;
  return isKnown && claims.every((claim) => claim.strong(entry).length === 0);
}

function componentsOf(
  files: Iterable<MissingFile>,
  claims: readonly Claims[],
): ReadonlyMap<string, ComponentFacts> {
  const components = new Map<string, ComponentFacts>();
  for (const { component } of files) {
    const owner = claims.find((claim) => claim.missing && claim.components.has(component));
    const facts = owner?.components.get(component);
    components.set(component, must(facts, `component ${component}`));
  }
  return components;
}

/** The files that packages shipped and that are not at their paths, by their digests. */
class MissingFiles {
  readonly #byDigest = new Map<string, MissingFile | typeof AMBIGUOUS>();
  readonly #algorithms = new Set<DigestAlgorithm>();

  constructor(claims: readonly Claims[]) {
    for (const claim of claims) {
      for (const file of claim.missing?.() ?? []) {
        this.#add(file);
      }
    }
  }

  /** Returns the missing file that has the content of `file`, if it is of one component. */
  async find(tree: Tree, file: RegularFile): Promise<MissingFile | undefined> {
    for (const algorithm of this.#algorithms) {
      const digest = await contentDigest(tree, file, algorithm);
      const found = this.#byDigest.get(`${algorithm}:${digest}`);
      if (found !== undefined && found !== AMBIGUOUS && hasSize(found.file, file.size)) {
        return found;
      }
    }
    return undefined;
  }

  #add(missing: MissingFile): void {
    for (const algorithm of DIGEST_ALGORITHMS) {
      const digest = missing.file[algorithm];
      if (digest === undefined) {
        continue;
      }
      this.#algorithms.add(algorithm);
      const key = `${algorithm}:${digest}`;
      const other = this.#byDigest.get(key) ?? missing;
      const isSame = other !== AMBIGUOUS && other.component === missing.component;
      this.#byDigest.set(key, isSame ? other : AMBIGUOUS);
    }
  }
}

function hasSize({ size }: ShippedFile, actual: number): boolean {
  return size === undefined || size === actual;
}
