/** A delta in a registry: beside its image, and in the list of what refers to it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { openZstdLibrary } from '../../src/system/zstd-library.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { ostrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const content = (change: string) =>
  Buffer.from(Array.from({ length: 9000 }, (_, i) => `${i === 4000 ? change : i * i}\n`).join(''));
const file = (name: string, change: string): ForgedEntry => ({
  ...{ name, type: 'file', content: content(change), mode: 0o644 },
});
const list = v.object({
  manifests: v.array(v.object({ digest: v.string(), artifactType: v.string(), size: v.number() })),
});
const created = v.object({ manifestDigest: v.string(), size: v.number(), layersSize: v.number() });

const isNative = openZstdLibrary() !== undefined;
const skip = needs('docker-registry').skip || (!isNative && 'needs Linux with glibc and koffi');

suite('a delta in a registry', { skip }, () => {
  let registry: Registry;
  /** The digest of the new image. */
  let target = '';
  const image = (tag: string) => `registry:${registry.host}/os:${tag}`;

  before(async () => {
    const scratch = scratchDirectory();
    registry = await startRegistry(join(scratch, 'registry'));
    for (const tag of ['old', 'new']) {
      const { imgref } = forgePlain([[file('usr/kept', 'kept'), file('usr/changed', tag)]]);
      const built = ostrata(['build', `--from=${imgref}`, '--json', image(tag)]);
      ({ manifestDigest: target } = parseJson(built, v.object({ manifestDigest: v.string() })));
    }
  });
  after(() => registry.stop());

  const create = (level: string) => {
    const names = [image('old'), image('new'), image(level)];
    const report = ostrata(['delta', 'create', `--level=${level}`, '--json', ...names]);
    return parseJson(report, created);
  };
  test('is listed once among what refers to its image, beside others', async () => {
    const best = create('best');
    create('fast');
    const fast = create('fast');
    assert.ok(best.size < best.layersSize + 3000);

    const tag = target.replace(':', '-');
    const response = await fetch(`http://${registry.host}/v2/os/manifests/${tag}`, {
      headers: { accept: 'application/vnd.oci.image.index.v1+json' },
    });
    assert.equal(response.headers.get('content-type'), 'application/vnd.oci.image.index.v1+json');
    const { manifests } = parseJson(await response.text(), list);
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [best.manifestDigest, fast.manifestDigest],
    );
    const type = 'application/vnd.io.github.containers.oci-delta.v1';
    assert.deepEqual(new Set(manifests.map(({ artifactType }) => artifactType)), new Set([type]));
  });

  test('rebuilds its image in the same registry', () => {
    create('default');
    ostrata(['delta', 'apply', image('default'), image('rebuilt'), '--source', image('old')]);
    ostrata(['verify', image('rebuilt')]);
  });
});
