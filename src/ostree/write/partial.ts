/** `state/CHECKSUM.commitpartial` marks a commit whose objects are not all in the repository. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeObjectName, isChecksum } from '../objects/object-name.js';
import { hasObject } from './stage.js';

export function partialPath(repoPath: string, commit: string): string {
  return join(repoPath, 'state', `${commit}.commitpartial`);
}

/** What the mark of a commit holds; undefined where it is not marked. */
export function partialMarker(repoPath: string, commit: string): string | undefined {
  const path = partialPath(repoPath, commit);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** Whether the repository has the commit and does not call it partial. */
export function hasWholeCommit(repoPath: string, commit: string): boolean {
  return (
    isChecksum(commit) &&
    hasObject(repoPath, encodeObjectName(commit, 'commit')) &&
    partialMarker(repoPath, commit) === undefined
  );
}
