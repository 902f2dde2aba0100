/** Imports images into new repositories, for tests of what an import must refuse. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ImportOptions } from '../../src/client/session.js';
import { unencapsulate } from '../../src/client/unencapsulate.js';
import type { ErrorCode } from '../../src/errors.js';
import { silentLogger } from '../../src/log.js';
import { RepoBuilder } from './build-repo.js';
import type { ForgedImage } from './forge-image.js';
import { scratchDirectory } from './scratch.js';

/** Path of a new repository without any objects. */
export const newRepo = (): string => new RepoBuilder('archive', '', scratchDirectory()).path;

/** Options to import `imgref` without verification. */
export function importOptions(repo: string, imgref: string, jobs = 2): ImportOptions {
  return {
    repo,
    source: { verification: { kind: 'none' }, imgref },
    jobs,
    fsync: false,
    log: silentLogger,
    signal: new AbortController().signal,
  };
}

/** Imports the commit of an image and writes the ref `os`. */
export function importInto(repo: string, imgref: string, jobs?: number) {
  return unencapsulate({ ...importOptions(repo, imgref, jobs), writeRef: 'os' });
}

/** The files below `directory`, which need not exist. */
export function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) {
    return [];
  }
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/**
 * The import of `image` fails; afterwards the repository has the same refs as before, and nothing
 * is staged.
 * @param more replaces options, for example the repository, which is a new one by default
 */
export async function assertRefused(
  { imgref }: ForgedImage,
  code: ErrorCode,
  message: RegExp,
  more: Partial<ImportOptions> = {},
): Promise<void> {
  const options = { ...importOptions(newRepo(), imgref), ...more };
  const refsBefore = filesBelow(join(options.repo, 'refs'));
  const importing = unencapsulate({ ...options, writeRef: 'os' });
  await assert.rejects(importing, (error: Error) => {
    assert.match(error.message, message);
    assert.match(error.message, /^importing oci:/);
    assert.equal('code' in error && error.code, code);
    return true;
  });
  assert.deepEqual(filesBelow(join(options.repo, 'refs')), refsBefore);
  assert.deepEqual(filesBelow(join(options.repo, 'tmp')), []);
}
