/** Imports the ostree commit that an image holds: image -> layers -> objects -> refs. */
import { OstrataError } from '../errors.js';
import { holdsFiles, isPlain, type ReadLayer } from '../image/encapsulated.js';
import { OSTREE_FINAL_DIFFID } from '../oci/annotations.js';
import { checkRefName } from '../ostree/write/refs.js';
import { importCommit } from './import/commit.js';
import {
  type ImportOptions,
  type ImportResult,
  importResult,
  planSession,
  withImportSession,
} from './session.js';

export interface UnencapsulateOptions extends ImportOptions {
  /** A ref that names the commit afterwards. */
  readonly writeRef?: string | undefined;
}

/**
 * Fetches the commit that an image holds, and gives each of its layers a ref. Throws `UNSUPPORTED`
 * if a container build added layers, because without them the commit is only a part of the image,
 * and for an image that holds no commit.
 */
export async function unencapsulate(options: UnencapsulateOptions): Promise<ImportResult> {
  const { writeRef } = options;
  if (writeRef !== undefined) {
    checkRefName(writeRef);
  }

  return withImportSession(options, async (session) => {
    const plan = await planSession(session, checkOnlyCommit);
    const commit = await importCommit(session, plan);
    if (writeRef !== undefined) {
      session.writer.setRef(writeRef, commit);
    }
    return { commit, ...importResult(session, plan) };
  });
}

/** Throws `UNSUPPORTED` for layers that are not part of an ostree commit. */
export function checkOnlyCommit(layers: readonly ReadLayer[]): void {
  const count = layers.filter(holdsFiles).length;
  if (count > 0) {
    const reason = isPlain(layers)
      ? `not an encapsulated commit: the config has no label ${OSTREE_FINAL_DIFFID}`
      : `the image has ${count} layers that are not part of the commit`;
    throw new OstrataError('UNSUPPORTED', `${reason}; pull it with: container image pull`);
  }
}
