/** Keeps the commit of a plan in an ostree repository, beside the image that holds it. */
import { setImmediate } from 'node:timers/promises';
import { inContextAsync } from '../errors.js';
import { copyContent } from '../layers/copy-content.js';
import type { LayerSpec } from '../layers/layer-spec.js';
import type { LayerObject } from '../layers/spec.js';
import { type Context, startWork } from '../log.js';
import { encodeObjectName } from '../ostree/objects/object-name.js';
import { openRepo } from '../ostree/repo.js';
import { checkContentWritable, contentExtension } from '../ostree/write/content-writer.js';
import { checkRefName } from '../ostree/write/refs.js';
import { ObjectStage } from '../ostree/write/stage.js';
import { RepoWriter } from '../ostree/write/writer.js';
import { type ContentReader, openContent } from '../tree/content-location.js';
import type { CommitImagePlan } from './encapsulate.js';

/** Where a commit is kept. */
export interface CommitKeeper {
  /** Path of the repository. */
  readonly repo: string;
  /** The ref that names the commit there; without one, pruning removes the commit. */
  readonly ref?: string | undefined;
}

/**
 * Throws `NOT_FOUND` if there is no repository, `UNSUPPORTED` if no commit can be written into one
 * of its mode, and `USAGE` if no ref can have that name.
 */
export function checkKeeper({ repo, ref }: CommitKeeper): void {
  checkContentWritable(openRepo(repo).mode);
  if (ref !== undefined) {
    checkRefName(ref);
  }
}

/**
 * Writes the objects that the repository does not have, and then the ref. Throws what {@link
 * checkKeeper} throws, `UNSUPPORTED` for an object that the repository cannot hold, `IO` and
 * `CANCELLED`.
 */
export async function keepCommit(
  { tree, commitLayer, chunks }: CommitImagePlan,
  { repo, ref, log, signal }: CommitKeeper & Context,
): Promise<void> {
  checkKeeper({ repo, ref });
  const { checksum } = commitLayer.commit;
  const objects = chunks.flatMap(({ spec }) => objectsOf(spec));
  await inContextAsync(`keeping commit ${checksum} in ${repo}`, async () => {
    const writer = await RepoWriter.open(repo, { signal });
    try {
      const extension = contentExtension(writer.repo.mode);
      const missing = objects.filter(
        (object) => !writer.has(encodeObjectName(object.checksum, extension)),
      );
      await tree.fetch?.(missing.map((object) => object.checksum));
      const directory = writer.createStage();
      const stage = new ObjectStage(writer.target, directory);
      const content = openContent(tree.content);
      const work = startWork(log, 'keeping the commit', missing.length, 'objects');
      for (const object of missing) {
        await setImmediate(undefined, { signal });
        await stageObject(stage, object, content);
        work.advance(1);
      }
      work.end();
      stageMetadata(stage, commitLayer);
      const refs = ref === undefined ? [] : [[ref, checksum] as const];
      writer.commit([{ directory, names: stage.names }], refs);
    } finally {
      writer.close();
    }
  });
}

function objectsOf(spec: LayerSpec): readonly LayerObject[] {
  return spec.kind === 'chunk' ? spec.objects : [];
}

async function stageObject(
  stage: ObjectStage,
  { checksum, paths, info }: LayerObject,
  content: ContentReader,
): Promise<void> {
  const [path] = paths;
  const sink = stage.file(checksum, info);
  if (sink === undefined || path === undefined) {
    return;
  }
  try {
    if (info.type === 'file') {
      const bytes = content.read({ path, checksum, info });
      await copyContent(bytes, info.size, (chunk) => sink.write(chunk), path);
    }
    sink.finish();
  } finally {
    stage.abandon();
  }
}

function stageMetadata(stage: ObjectStage, { commit, spec }: CommitImagePlan['commitLayer']): void {
  const { directories, loadBytes, detachedMetadata } = spec;
  for (const { dirtree, dirmeta } of directories) {
    stage.metadata('dirmeta', dirmeta, loadBytes(dirmeta, 'dirmeta'));
    stage.metadata('dirtree', dirtree, loadBytes(dirtree, 'dirtree'));
  }
  if (detachedMetadata !== undefined) {
    stage.metadata('commitmeta', commit.checksum, detachedMetadata);
  }
  stage.metadata('commit', commit.checksum, commit.bytes);
}
