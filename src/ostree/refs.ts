/** From a name to a commit: refs (`refs/heads/`, `refs/remotes/`), commit ids and their unique beginnings, `^`. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OstrataError, wrapError } from '../errors.js';
import { isChecksum } from './objects.js';
import type { OstreeRepo } from './repo.js';

/** Components of a ref name, as ostree_validate_rev takes them; a leading dot, and so `..`, is not among them. */
const REF_NAME = /^[\w\d][-._\w\d]*(\/[\w\d][-._\w\d]*)*$/;
const REMOTE_NAME = /^[\w\d][-._\w\d]*$/;
const ABBREVIATED_ID = /^[0-9a-f]{1,63}$/;

/** See {@link OstreeRepo.resolve}. A ref comes before an abbreviated id that reads the same. */
export function resolveRev(repo: OstreeRepo, rev: string): string {
  if (rev.endsWith('^')) {
    const child = resolveRev(repo, rev.slice(0, -1));
    const { parent } = repo.loadCommit(child).parsed;
    if (parent === undefined) throw new OstrataError('NOT_FOUND', `commit ${child} in ${repo.path} has no parent`);
    return parent;
  }
  if (isChecksum(rev)) {
    if (commitsStartingWith(repo, rev).size === 0) throw notFound(repo, rev);
    return rev;
  }
  const checksum = resolveRef(repo, rev) ?? resolveAbbreviated(repo, rev);
  if (checksum === undefined) throw notFound(repo, rev);
  return checksum;
}

function notFound(repo: OstreeRepo, rev: string): OstrataError {
  return new OstrataError('NOT_FOUND', `no ref or commit ${JSON.stringify(rev)} in ostree repository ${repo.path}`);
}

function resolveRef(repo: OstreeRepo, rev: string): string | undefined {
  const colon = rev.indexOf(':');
  const ref = rev.slice(colon + 1);
  if (!REF_NAME.test(ref) || (colon >= 0 && !REMOTE_NAME.test(rev.slice(0, colon)))) return undefined;
  const places = colon >= 0 ? [`remotes/${rev.slice(0, colon)}/${ref}`] : [`heads/${ref}`, `remotes/${ref}`];
  for (const place of places) {
    const text = readRef(join(repo.path, 'refs', place));
    if (text === undefined) continue;
    if (!isChecksum(text))
      throw new OstrataError('CORRUPT', `ref ${rev} in ${repo.path} holds ${JSON.stringify(text.slice(0, 80))}`);
    return text;
  }
  return repo.parent && resolveRef(repo.parent, rev);
}

function readRef(path: string): string | undefined {
  try {
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return undefined;
    return readFileSync(path, 'utf8').trimEnd();
  } catch (error) {
    throw wrapError(`reading ${path}`, error);
  }
}

function resolveAbbreviated(repo: OstreeRepo, rev: string): string | undefined {
  if (!ABBREVIATED_ID.test(rev)) return undefined;
  const found = commitsStartingWith(repo, rev);
  if (found.size > 1)
    throw new OstrataError('AMBIGUOUS', `${found.size} commits in ostree repository ${repo.path} begin with ${rev}`);
  return [...found][0];
}

function commitsStartingWith(repo: OstreeRepo, start: string): Set<string> {
  const found = repo.parent ? commitsStartingWith(repo.parent, start) : new Set<string>();
  for (const folder of names(join(repo.path, 'objects'))) {
    if (folder.length !== 2 || !folder.startsWith(start.slice(0, 2))) continue;
    for (const name of names(join(repo.path, 'objects', folder))) {
      const checksum = folder + name.replace(/\.commit$/, '');
      if (isChecksum(checksum) && checksum.startsWith(start)) found.add(checksum);
    }
  }
  return found;
}

function names(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    throw wrapError(`listing ${path}`, error);
  }
}
