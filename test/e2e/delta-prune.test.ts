// Deltas in registries that lead to older images are deleted, and nothing else is.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { DELTA_TYPE } from '../../src/delta/artifact.js';
import { openZstdLibrary } from '../../src/system/zstd-library.js';
import { openImage } from '../../src/transports/image-reference.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

function file(name: string, change: string): ForgedEntry {
  const lines = Array.from({ length: 900 }, (_, i) => (i === 450 ? change : `${name}${i}`));
  const noise = lines.map((line) => createHash('sha256').update(line).digest('hex'));
  return { ...{ name, type: 'file', content: Buffer.from(noise.join('\n')), mode: 0o644 } };
}

const pruned = v.object({
  images: v.array(
    v.object({
      digest: v.string(),
      created: v.optional(v.string()),
      deltas: v.array(v.string()),
      isKept: v.boolean(),
    }),
  ),
});

const isNative = openZstdLibrary() !== undefined;
const skip = needs('docker-registry', 'skopeo').skip || (!isNative && 'needs glibc and koffi');

suite('delta prune', { skip }, () => {
  let registry: Registry;
  const image = (name: string) => `registry:${registry.host}/os${name}`;
  /** Digests of the images, the oldest first. */
  const digests: string[] = [];

  before(async () => {
    registry = await startRegistry(join(scratchDirectory(), 'registry'));
    for (let i = 0; i < 4; i++) {
      const { imgref } = forgePlain([[file('usr/changed', String(i))]]);
      const from = i === 0 ? [] : [`--delta-from=${image(`@${digests.at(-1)}`)}`];
      // Only the first and the last image have a tag that stays.
      const out = image(i === 0 ? ':first' : ':latest');
      const time = `--created=${1_700_000_000 + i * 86_400}`;
      const built = ostrata(['build', `--from=${imgref}`, time, '--json', ...from, out]);
      const { manifestDigest } = parseJson(built, v.object({ manifestDigest: v.string() }));
      digests.push(manifestDigest);
    }
  });
  after(() => registry.stop());

  const prune = (keep: number, ...options: readonly string[]) =>
    parseJson(
      ostrata(['delta', 'prune', `--keep=${keep}`, '--json', ...options, image(':latest')]),
      pruned,
    ).images;
  const deltasTo = async (digest = '') => {
    const opened = await openImage(image(`@${digest}`));
    return ((await opened.referrers?.(DELTA_TYPE)) ?? []).length;
  };
  const counts = () => Promise.all(digests.map(deltasTo));

  test('says what it would delete', async () => {
    const images = prune(2, '--dry-run');
    assert.deepEqual(
      images.map(({ digest, isKept }) => [digest, isKept]),
      [
        [digests[3], true],
        [digests[2], true],
        [digests[1], false],
      ],
    );
    assert.deepEqual(await counts(), [0, 1, 1, 1]);
    const text = ostrata(['delta', 'prune', '--keep=2', '--dry-run', image(':latest')]);
    assert.match(text, /1 delta would be deleted/);
  });

  test('deletes the deltas to all but the newest images, and no image', async () => {
    const [, , { deltas } = assert.fail()] = prune(2);
    assert.deepEqual(await counts(), [0, 0, 1, 1]);
    const name = `docker://${registry.host}/os@${deltas[0]}`;
    assert.throws(() => run('skopeo', ['inspect', '--raw', '--tls-verify=false', name]));
    for (const digest of digests) {
      ostrata(['verify', image(`@${digest}`)]);
    }
    assert.equal(prune(2).length, 2);
    assert.equal(prune(0).length, 2);
    assert.deepEqual(await counts(), [0, 0, 0, 0]);
    assert.equal(
      ostrata(['delta', 'prune', '--keep=1', image(':latest')]),
      'there are no deltas\n',
    );
  });

  test('fails at once where the registry deletes nothing', async () => {
    const frozen = await startRegistry(join(scratchDirectory(), 'frozen'), { canDelete: false });
    try {
      const at = (name: string) => `registry:${frozen.host}/os:${name}`;
      for (const name of ['old', 'new']) {
        const { imgref } = forgePlain([[file('usr/changed', name)]]);
        ostrata(['build', `--from=${imgref}`, at(name)]);
      }
      ostrata(['delta', 'create', at('old'), at('new')]);
      const { status, stderr } = tryOstrata(['delta', 'prune', '--keep=0', at('new')]);
      assert.equal(status, 1);
      assert.match(
        stderr,
        /the registry deletes no manifests; its administrator has to allow that/,
      );
    } finally {
      await frozen.stop();
    }
  });

  test('is for registries only', () => {
    const { status, stderr } = tryOstrata(['delta', 'prune', '--keep=1', 'oci:layout:x']);
    assert.equal(status, 1);
    assert.match(stderr, /image reference oci:layout:x: expected one of a registry/);
  });
});
