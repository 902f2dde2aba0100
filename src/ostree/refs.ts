/**
 * Resolves names to commits: refs (`refs/heads/` and `refs/remotes/`), checksums of commits and
 * their unique beginnings, and `^` for parents.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { didYouMean } from '../bytes/nearest.js';
import { errnoOf, inContext, OstrataError, wrapError } from '../errors.js';
import { isChecksum } from './objects/object-name.js';

/** The part of {@link OstreeRepo} that resolving needs. */
interface RefRepository {
  readonly path: string;
  /** The repository that is searched for what this one does not have. */
  readonly parent: RefRepository | undefined;
  loadCommit(checksum: string): { readonly parsed: { readonly parent?: string | undefined } };
}

/** Component of a ref name, as ostree_validate_rev accepts it. It cannot begin with a dot. */
const COMPONENT = '[\\p{L}\\p{N}_][-.\\p{L}\\p{N}_]*';
const REF_NAME = new RegExp(`^${COMPONENT}(/${COMPONENT})*$`, 'u');
const REMOTE_NAME = new RegExp(`^${COMPONENT}$`, 'u');
const ABBREVIATED_CHECKSUM = /^[0-9a-f]{1,63}$/;

/** Errors of reading a ref that does not exist, or that is a directory of refs. */
const NOT_A_REF: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG']);

/** Whether ostree accepts `name` as the name of a ref, without a remote. */
export function isRefName(name: string): boolean {
  return REF_NAME.test(name);
}

/**
 * Implements `OstreeRepo.resolve`. A name that can be a ref or an abbreviated checksum is taken for
 * the ref, if that exists.
 */
export function resolveRev(repo: RefRepository, rev: string): string {
  const name = rev.replace(/\^+$/, '');
  let checksum = resolveName(repo, name);
  for (let steps = rev.length - name.length; steps > 0; steps--) {
    checksum = parentOf(repo, checksum);
  }
  return checksum;
}

function resolveName(repo: RefRepository, name: string): string {
  const found = isChecksum(name)
    ? findCommit(repo, name)
    : (resolveRef(repo, name) ?? resolveAbbreviated(repo, name));
  if (found === undefined) {
    const suggestion = didYouMean(name, allRefs(repo));
    throw new OstrataError(
      'NOT_FOUND',
      `no ref or commit ${JSON.stringify(name)} in ostree repository ${repo.path}${suggestion}`,
    );
  }
  return found;
}

/** Returns the refs that {@link resolveRev} finds, those of remotes as `REMOTE:REF`. */
function allRefs(repo: RefRepository): readonly string[] {
  const remoteRefs = filesBelow(join(repo.path, 'refs', 'remotes'));
  const refs = [
    ...listRefs(repo.path, ''),
    ...remoteRefs.map((path) => path.replace('/', ':')),
    ...(repo.parent === undefined ? [] : allRefs(repo.parent)),
  ];
  return refs.filter((name) => isRefName(name.slice(name.indexOf(':') + 1)));
}

/** Returns the names of the refs below `refs/heads/PREFIX`, sorted by UTF-16 code units. */
export function listRefs(repoPath: string, prefix: string): string[] {
  const below = filesBelow(join(repoPath, 'refs', 'heads', prefix));
  return below.map((name) => join(prefix, name)).sort();
}

/** Returns the paths of all files below a folder, relative to it; none if it does not exist. */
function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) {
    return [];
  }
  return inContext(`listing refs in ${folder}`, () =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name))),
  );
}

function parentOf(repo: RefRepository, checksum: string): string {
  const { parent } = repo.loadCommit(checksum).parsed;
  if (parent === undefined) {
    throw new OstrataError('NOT_FOUND', `commit ${checksum} in ${repo.path} has no parent`);
  }
  return parent;
}

/** Resolves `REMOTE:REF` or `REF`, which is searched in `refs/heads` first, then in all remotes. */
function resolveRef(repo: RefRepository, rev: string): string | undefined {
  const colon = rev.indexOf(':');
  const ref = rev.slice(colon + 1);
  if (!isRefName(ref)) {
    return undefined;
  }

  if (colon >= 0) {
    const remote = rev.slice(0, colon);
    return REMOTE_NAME.test(remote) ? resolveRemoteRef(repo, remote, ref) : undefined;
  }
  return (
    readRef(repo, `heads/${ref}`) ??
    resolveInAnyRemote(repo, ref) ??
    (repo.parent && resolveRef(repo.parent, ref))
  );
}

function resolveRemoteRef(repo: RefRepository, remote: string, ref: string): string | undefined {
  return (
    readRef(repo, `remotes/${remote}/${ref}`) ??
    (repo.parent && resolveRemoteRef(repo.parent, remote, ref))
  );
}

function resolveInAnyRemote(repo: RefRepository, ref: string): string | undefined {
  const found = new Set<string>();
  for (const remote of namesIn(join(repo.path, 'refs', 'remotes'))) {
    const checksum = readRef(repo, `remotes/${remote}/${ref}`);
    if (checksum !== undefined) {
      found.add(checksum);
    }
  }
  if (found.size > 1) {
    throw new OstrataError(
      'AMBIGUOUS',
      `${found.size} remotes of ${repo.path} have different commits as ${ref}`,
    );
  }
  const [checksum] = found;
  return checksum;
}

/**
 * Reads the checksum in a file below `refs/`. Returns undefined if there is no such file.
 * @param path e.g. `heads/os`
 */
export function readRef(repo: Pick<RefRepository, 'path'>, path: string): string | undefined {
  const file = join(repo.path, 'refs', path);
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trimEnd();
  } catch (error) {
    if (NOT_A_REF.has(errnoOf(error) ?? '')) {
      return undefined;
    }
    throw wrapError(`reading ${file}`, error);
  }

  if (!isChecksum(text)) {
    throw new OstrataError(
      'CORRUPT',
      `${file} holds ${JSON.stringify(text.slice(0, 80))} instead of a checksum`,
    );
  }
  return text;
}

function resolveAbbreviated(repo: RefRepository, beginning: string): string | undefined {
  return ABBREVIATED_CHECKSUM.test(beginning) ? findCommit(repo, beginning) : undefined;
}

/**
 * Finds the commit whose checksum begins with `beginning`. Throws `AMBIGUOUS` if there are several.
 */
function findCommit(repo: RefRepository, beginning: string): string | undefined {
  const found = commitsThatBeginWith(repo, beginning);
  if (found.size > 1) {
    throw new OstrataError(
      'AMBIGUOUS',
      `${found.size} commits in ostree repository ${repo.path} begin with ${beginning}`,
    );
  }
  const [checksum] = found;
  return checksum;
}

function commitsThatBeginWith(repo: RefRepository, beginning: string): Set<string> {
  const found = repo.parent ? commitsThatBeginWith(repo.parent, beginning) : new Set<string>();
  const objects = join(repo.path, 'objects');
  for (const folder of namesIn(objects)) {
    if (folder.length !== 2 || !folder.startsWith(beginning.slice(0, 2))) {
      continue;
    }
    for (const name of namesIn(join(objects, folder))) {
      const checksum = folder + name.replace(/\.commit$/, '');
      if (isChecksum(checksum) && checksum.startsWith(beginning)) {
        found.add(checksum);
      }
    }
  }
  return found;
}

/** Returns the sorted names in a directory, none if it does not exist. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      return [];
    }
    throw wrapError(`listing ${path}`, error);
  }
}
