// Which deltas are kept, in repositories of any kind.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { planPruning } from '../../src/delta/prune.js';
import { sha256Digest } from '../../src/oci/json.js';
import { OCI_MANIFEST } from '../../src/oci/media-types.js';
import type { ArtifactRepository } from '../../src/transports/transport.js';

const digestOf = (name: string) => sha256Digest(Buffer.from(name));
const SOURCE = 'io.github.containers.delta.source';

/** A repository in which deltas lead from each image to the next one; one image has a tag. */
function repositoryOf(
  names: readonly string[],
  tagged: string,
): Pick<ArtifactRepository, 'images' | 'referrers'> {
  return {
    images: async () => [digestOf(tagged)],
    referrers: async (digest) => {
      const index = names.findIndex((name) => digestOf(name) === digest);
      const source = names[index - 1];
      if (source === undefined) {
        return [];
      }
      const name = `${source} to ${names[index]}`;
      const annotations = { [SOURCE]: digestOf(source) };
      return [{ mediaType: OCI_MANIFEST, digest: digestOf(name), size: 1, annotations }];
    },
  };
}

const day = (count: number) => ({ created: new Date(count * 86_400_000).toISOString() });

/** Returns the names of the images that keep their deltas, and of the others. */
async function plan(
  names: readonly string[],
  keep: number,
  createdOf: (name: string) => { created: string | undefined } | undefined,
) {
  const nameOf = new Map(names.map((name) => [digestOf(name), name]));
  const repository = repositoryOf(names, names.at(-1) ?? '');
  const targets = await planPruning(repository, {
    keep,
    createdOf: async (digest) => createdOf(nameOf.get(digest) ?? ''),
  });
  const named = (isKept: boolean) =>
    targets.filter((each) => each.isKept === isKept).map(({ digest }) => nameOf.get(digest));
  return { kept: named(true), others: named(false) };
}

suite('deltas that are kept', () => {
  const names = ['a', 'b', 'c', 'd'];

  test('are those to the newest images, also to images that have lost their tag', async () => {
    const planned = await plan(names, 2, (name) => day(names.indexOf(name)));
    assert.deepEqual(planned, { kept: ['d', 'c'], others: ['b'] });
  });

  test('are none of images that are gone', async () => {
    const createdOf = (name: string) => (name === 'd' ? undefined : day(names.indexOf(name)));
    assert.deepEqual(await plan(names, 3, createdOf), { kept: ['c', 'b'], others: ['d'] });
  });

  test('are the last ones of an image that states no time', async () => {
    const createdOf = (name: string) => (name === 'c' ? { created: undefined } : day(1));
    const { others } = await plan(names, 2, createdOf);
    assert.deepEqual(others, ['c']);
  });
});
