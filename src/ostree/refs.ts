/** From a name to a commit: refs (`refs/heads/`, `refs/remotes/`), commit ids and their unique beginnings, `^`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OstrataError, wrapError } from '../errors.js';
import { isChecksum } from './objects/object-name.js';

/** The parts of a repository that names are looked up in. */
export interface RefRepository {
  readonly path: string;
  /** Where refs and objects are looked for that are not here. */
  readonly parent: RefRepository | undefined;
  loadCommit(checksum: string): { readonly parsed: { readonly parent?: string | undefined } };
}

/** Components of a ref or remote name, as ostree_validate_rev takes them; no leading dot, so no `..` either. */
const REF_NAME = /^[\p{L}\p{N}_][-.\p{L}\p{N}_]*(\/[\p{L}\p{N}_][-.\p{L}\p{N}_]*)*$/u;
const ABBREVIATED_ID = /^[0-9a-f]{1,63}$/;
/** What reading a ref that is not there, or is a folder of refs, can meet. */
const NOT_A_REF = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG']);

/** Whether ostree takes `name` for a ref (without a remote). */
export function isRefName(name: string): boolean {
  return REF_NAME.test(name);
}

/** See `OstreeRepo.resolve`. A ref comes before an abbreviated id that reads the same. */
export function resolveRev(repo: RefRepository, rev: string): string {
  const name = rev.replace(/\^+$/, '');
  const found = resolveName(repo, name);
  if (found === undefined) {
    throw new OstrataError(
      'NOT_FOUND',
      `no ref or commit ${JSON.stringify(name)} in ostree repository ${repo.path}`,
    );
  }
  let checksum: string = found;
  for (let steps = rev.length - name.length; steps > 0; steps--) {
    const { parent } = repo.loadCommit(checksum).parsed;
    if (parent === undefined) {
      throw new OstrataError('NOT_FOUND', `commit ${checksum} in ${repo.path} has no parent`);
    }
    checksum = parent;
  }
  return checksum;
}

function resolveName(repo: RefRepository, name: string): string | undefined {
  if (isChecksum(name)) {
    return [...commitsStartingWith(repo, name)][0];
  }
  return resolveRef(repo, name) ?? resolveAbbreviated(repo, name);
}

/** A name without a remote is taken from `refs/heads`, else from the remotes that have it. */
function resolveRef(repo: RefRepository, rev: string): string | undefined {
  const colon = rev.indexOf(':');
  const remote = colon < 0 ? undefined : rev.slice(0, colon);
  const ref = rev.slice(colon + 1);
  if (
    !isRefName(ref) ||
    (remote !== undefined && (!REF_NAME.test(remote) || remote.includes('/')))
  ) {
    return undefined;
  }
  const remotes = join(repo.path, 'refs', 'remotes');
  const local =
    remote === undefined
      ? readRef(repo, `heads/${ref}`)
      : readRef(repo, `remotes/${remote}/${ref}`);
  if (local !== undefined) {
    return local;
  }
  if (remote === undefined) {
    const fromRemotes = namesIfThere(remotes).map((name) =>
      readRef(repo, `remotes/${name}/${ref}`),
    );
    const found = new Set(fromRemotes.filter((checksum) => checksum !== undefined));
    if (found.size > 1) {
      throw new OstrataError(
        'AMBIGUOUS',
        `${found.size} remotes of ${repo.path} have different commits as ${rev}`,
      );
    }
    if (found.size === 1) {
      return [...found][0];
    }
  }
  return repo.parent && resolveRef(repo.parent, rev);
}

/** The commit a file below `refs/` names, e.g. `heads/os`; undefined where there is no such file. */
export function readRef(repo: RefRepository, place: string): string | undefined {
  const path = join(repo.path, 'refs', place);
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trimEnd();
  } catch (error) {
    if (NOT_A_REF.has((error as NodeJS.ErrnoException).code ?? '')) {
      return undefined;
    }
    throw wrapError(`reading ${path}`, error);
  }
  if (!isChecksum(text)) {
    throw new OstrataError('CORRUPT', `${path} holds ${JSON.stringify(text.slice(0, 80))}`);
  }
  return text;
}

function resolveAbbreviated(repo: RefRepository, rev: string): string | undefined {
  if (!ABBREVIATED_ID.test(rev)) {
    return undefined;
  }
  const found = commitsStartingWith(repo, rev);
  if (found.size > 1) {
    throw new OstrataError(
      'AMBIGUOUS',
      `${found.size} commits in ostree repository ${repo.path} begin with ${rev}`,
    );
  }
  return [...found][0];
}

function commitsStartingWith(repo: RefRepository, start: string): Set<string> {
  const found = repo.parent ? commitsStartingWith(repo.parent, start) : new Set<string>();
  const objects = join(repo.path, 'objects');
  for (const folder of namesIfThere(objects)) {
    if (folder.length !== 2 || !folder.startsWith(start.slice(0, 2))) {
      continue;
    }
    for (const name of namesIfThere(join(objects, folder))) {
      const checksum = folder + name.replace(/\.commit$/, '');
      if (isChecksum(checksum) && checksum.startsWith(start)) {
        found.add(checksum);
      }
    }
  }
  return found;
}

function namesIfThere(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return [];
    }
    throw wrapError(`listing ${path}`, error);
  }
}
