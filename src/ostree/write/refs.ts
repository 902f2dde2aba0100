/** Refs below `refs/heads/` of a repository: written by rename, so that each names a commit at any time. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inContext, OstrataError } from '../../errors.js';
import { isRefName } from '../refs.js';
import { syncPath } from './stage.js';

/** A ref is a file: NAME_MAX of Linux. */
const MAX_COMPONENT_BYTES = 255;

/** Makes `ref` name a commit. @param temporary a file that holds the commit's checksum and is on the disk */
export function publishRef(repoPath: string, ref: string, temporary: string, fsync: boolean): void {
  inContext(`writing ref ${ref} of ${repoPath}`, () => {
    const path = join(repoPath, 'refs', 'heads', ref);
    mkdirSync(dirname(path), { recursive: true });
    renameSync(temporary, path);
    if (fsync) {
      syncPath(dirname(path));
    }
  });
}

/** `USAGE` for what ostree, or a file system, does not take as the name of a ref. */
export function checkRefName(ref: string): void {
  if (!isRefName(ref)) {
    throw new OstrataError('USAGE', `${JSON.stringify(ref)} is no name for an ostree ref`);
  }
  if (ref.split('/').some((component) => Buffer.byteLength(component) > MAX_COMPONENT_BYTES)) {
    throw new OstrataError(
      'USAGE',
      `${JSON.stringify(ref)}: a part of an ostree ref has at most ${MAX_COMPONENT_BYTES} bytes`,
    );
  }
}

/** Removes `ref`; its objects stay. */
export function deleteRef(repoPath: string, ref: string): void {
  inContext(`removing ref ${ref} of ${repoPath}`, () =>
    rmSync(join(repoPath, 'refs', 'heads', ref), { force: true }),
  );
}

/** Names of the refs below `prefix`, sorted by UTF-16 code units. */
export function listRefs(repoPath: string, prefix: string): string[] {
  const top = join(repoPath, 'refs', 'heads', prefix);
  if (!existsSync(top)) {
    return [];
  }
  return inContext(`listing refs of ${repoPath}`, () =>
    readdirSync(top, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name).slice(join(repoPath, 'refs', 'heads').length + 1),
      )
      .sort(),
  );
}
