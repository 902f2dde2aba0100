/**
 * Partial commits: `state/CHECKSUM.commitpartial` marks a commit whose objects are not all in the
 * repository (ostree-repo-pull.c). libostree reads no more than the first byte of the file, where
 * `f` means that fsck found it, so that the rest can hold a note.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeObjectName, isChecksum } from '../objects/object-name.js';
import { hasObject } from './stage.js';

/** Returns the path of the file that marks `commit` as partial. */
export function partialPath(repoPath: string, commit: string): string {
  return join(repoPath, 'state', `${commit}.commitpartial`);
}

/** Returns the content of that file, or undefined if the commit is not marked. */
export function partialMarker(repoPath: string, commit: string): string | undefined {
  const path = partialPath(repoPath, commit);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** Whether the repository has the commit and does not mark it as partial. */
export function hasWholeCommit(repoPath: string, commit: string): boolean {
  return (
    isChecksum(commit) &&
    hasObject(repoPath, encodeObjectName(commit, 'commit')) &&
    partialMarker(repoPath, commit) === undefined
  );
}
