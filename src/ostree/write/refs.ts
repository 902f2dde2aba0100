/**
 * Writes and removes the refs below `refs/heads/` of a repository. A ref is published by
 * rename, so that it names a commit at any time.
 */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inContext, OstrataError } from '../../errors.js';
import { isRefName } from '../refs.js';
import { syncPath } from './stage.js';

/** A component of a ref is a file name: NAME_MAX of Linux. */
const MAX_COMPONENT_BYTES = 255;

/**
 * Makes `ref` name a commit.
 * @param temporary a file that holds the checksum of the commit and is on the disk
 */
export function publishRef(repoPath: string, ref: string, temporary: string, fsync: boolean): void {
  inContext(`writing ref ${ref} of ${repoPath}`, () => {
    const path = refPath(repoPath, ref);
    mkdirSync(dirname(path), { recursive: true });
    renameSync(temporary, path);
    if (fsync) {
      syncPath(dirname(path));
    }
  });
}

/** Throws `USAGE` unless ostree and the file system accept `ref` as the name of a ref. */
export function checkRefName(ref: string): void {
  if (!isRefName(ref)) {
    throw new OstrataError('USAGE', `${JSON.stringify(ref)} is not a name for an ostree ref`);
  }
  if (ref.split('/').some((component) => Buffer.byteLength(component) > MAX_COMPONENT_BYTES)) {
    throw new OstrataError(
      'USAGE',
      `${JSON.stringify(ref)}: at most ${MAX_COMPONENT_BYTES} bytes per component of an ostree ref`,
    );
  }
}

/** Removes `ref` if it exists. Its objects stay. */
export function deleteRef(repoPath: string, ref: string): void {
  inContext(`removing ref ${ref} of ${repoPath}`, () =>
    rmSync(refPath(repoPath, ref), { force: true }),
  );
}

function refPath(repoPath: string, ref: string): string {
  return join(repoPath, 'refs', 'heads', ref);
}
