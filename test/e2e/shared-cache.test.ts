// Two machines that share a cache in a registry, as users run them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import * as v from 'valibot';
import { CACHED_LAYER_TYPE, encodeSharedEntry, tagOf } from '../../src/blobs/shared-entry.js';
import { parseJson } from '../../src/bytes/json.js';
import { sha256Digest } from '../../src/oci/json.js';
import { OCI_LAYER_GZIP } from '../../src/oci/media-types.js';
import { openArtifactRepository } from '../../src/transports/image-reference.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { repoRoot } from '../support/root.js';
import { ostrata, ostrataProgram, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const SAMPLE = join(repoRoot, 'rpmdb-fixtures/sample/new');
const DAY_MS = 24 * 3600 * 1000;
const built = v.object({
  manifestDigest: v.string(),
  warnings: v.array(v.string()),
  layers: v.array(v.object({ origin: v.string() })),
});
const pruned = v.object({
  reference: v.string(),
  layers: v.array(
    v.object({ tag: v.string(), digest: v.string(), size: v.number(), isKept: v.boolean() }),
  ),
});

suite('machines that share a cache', needs('docker-registry', 'skopeo'), () => {
  let registry: Registry;
  let cache: string;
  before(async () => {
    registry = await startRegistry(join(scratchDirectory(), 'registry'));
    cache = `registry:${registry.host}/cache`;
  });
  after(() => registry.stop());

  const command = (image: string) => [
    ...['container-encapsulate', `--repo=${SAMPLE}`, '--max-layers=4', '--json'],
    ...[`--cache-from=${cache}`, `--cache-to=${cache}`],
    ...['sample/os', `registry:${registry.host}/${image}:x`],
  ];

  /** Builds on a machine of its own, beside others. */
  async function machine(image: string) {
    const env = { ...process.env, XDG_CACHE_HOME: scratchDirectory() };
    const child = spawn(process.execPath, [ostrataProgram, ...command(image)], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const output: Buffer[] = [];
    child.stdout.on('data', (chunk) => output.push(chunk));
    const [status] = await once(child, 'close');
    assert.equal(status, 0);
    return parseJson(Buffer.concat(output).toString(), built);
  }

  test('build the same image at the same time; the next one compresses nothing', async () => {
    const [first, second] = await Promise.all([machine('first'), machine('second')]);
    const third = await machine('third');
    assert.equal(second.manifestDigest, first.manifestDigest);
    assert.equal(third.manifestDigest, first.manifestDigest);
    assert.deepEqual(new Set(third.layers.map(({ origin }) => origin)), new Set([cache]));
    assert.deepEqual([...first.warnings, ...second.warnings, ...third.warnings], []);
    const name = `docker://${registry.host}/third:x`;
    run('skopeo', ['copy', '--src-tls-verify=false', name, `dir:${scratchDirectory()}`]);
    // The same layers in an image without a commit are others.
    const text = ostrata([
      ...['build', `--repo=${SAMPLE}`, 'sample/os', `oci:${join(scratchDirectory(), 'image')}`],
      ...['--max-layers=2', `--cache-from=${cache}`],
    ]);
    assert.match(text, /\nlayers: 2 new\n/);
  });

  test('share a layer that holds a large file of zeros', () => {
    const root = scratchDirectory();
    writeFileSync(join(root, 'zeros'), '');
    truncateSync(join(root, 'zeros'), 140e6);
    const image = `oci:${join(scratchDirectory(), 'image')}`;
    const words = [
      'build',
      `--rootfs=${root}`,
      '--no-cache',
      '--compression=zstd',
      '--json',
      image,
    ];
    ostrata([...words, `--cache-to=${cache}-zeros`]);
    const next = parseJson(ostrata([...words, `--cache-from=${cache}-zeros`]), built);
    assert.deepEqual(
      next.layers.map(({ origin }) => origin),
      [`${cache}-zeros`],
    );
  });

  const prune = (...options: readonly string[]) =>
    parseJson(ostrata(['cache', 'prune', '--json', ...options, cache]), pruned).layers;

  test('lose the layers that were put there long ago, and no image', async () => {
    const repository = await openArtifactRepository(cache, {}, 'pull,push');
    const file = join(scratchDirectory(), 'blob');
    writeFileSync(file, 'blob');
    const digest = sha256Digest(Buffer.from('blob'));
    const blob = { digest, diffId: digest, size: 4, tarSize: 4 };
    for (const days of [-9, 20, 40]) {
      const wanted = { key: `key${days}`, mediaType: OCI_LAYER_GZIP };
      const day = new Date(Date.now() - days * DAY_MS);
      const entry = encodeSharedEntry(wanted, blob, undefined, day);
      await repository.add(tagOf(wanted), entry, file);
    }
    const exists = async (days: number) => {
      const tag = tagOf({ key: `key${days}` });
      return (await repository.find(tag, CACHED_LAYER_TYPE)) !== undefined;
    };
    ostrata([
      ...['build', `--repo=${SAMPLE}`, 'sample/os', `${cache}:layer-of-an-image`],
      ...['--max-layers=1'],
    ]);

    const planned = prune('--older-than=30d', '--dry-run');
    const deleted = planned.filter(({ isKept }) => !isKept).map(({ tag }) => tag);
    assert.deepEqual(deleted, ['layer-key40', 'layer-key-9']);
    assert.deepEqual(prune('--older-than=30d'), planned);
    assert.deepEqual([await exists(40), await exists(-9), await exists(20)], [false, false, true]);

    const text = ostrata(['cache', 'prune', '--older-than=2w', cache]);
    assert.match(text, /^1 layer \(4 B\) deleted, 4 layers \([\d.]+ MB\) kept\n$/);
    assert.equal(prune('--older-than=0h').length, 4);
    assert.deepEqual(prune('--older-than=0h'), []);
    run('skopeo', [
      'inspect',
      '--tls-verify=false',
      `docker://${registry.host}/cache:layer-of-an-image`,
    ]);
    repository.close();
  });

  test('are told what the options expect', () => {
    const image = ['build', '--rootfs=/nowhere', `oci:${join(scratchDirectory(), 'image')}`];
    const secret = join(scratchDirectory(), 'secret');
    writeFileSync(secret, 'short\n');
    const cases = [
      [[...image, `--cache-to=${cache}:tag`], /expected a repository of a registry/],
      [[...image, '--cache-from=oci:layout'], /expected a repository of a registry/],
      [[...image, `--cache-secret=${secret}`], /secret: expected 16 to 4096 bytes, got 6/],
      [['cache', 'prune', '--older-than=1m', cache], /expected an age such as 36h, 30d, 8w or 1y/],
      [['delta', 'create', `--cache-to=${cache}`, 'oci:old', 'oci:new'], /unknown option/],
    ] as const;
    for (const [args, message] of cases) {
      const { status, stderr } = tryOstrata(args);
      assert.deepEqual([status, message.test(stderr)], [2, true], stderr);
    }
  });

  test('learn that a registry deletes nothing', async () => {
    const frozen = await startRegistry(join(scratchDirectory(), 'frozen'), { canDelete: false });
    try {
      const name = `registry:${frozen.host}/cache`;
      const out = `oci:${join(scratchDirectory(), 'image')}`;
      ostrata([
        'build',
        `--repo=${SAMPLE}`,
        '--max-layers=1',
        `--cache-to=${name}`,
        'sample/os',
        out,
      ]);
      const { status, stderr } = tryOstrata(['cache', 'prune', '--older-than=0h', name]);
      assert.equal(status, 1);
      assert.match(stderr, /the registry deletes no manifests; its administrator has to allow/);
      assert.equal(stderr.trim().split('\n').length, 1);
    } finally {
      await frozen.stop();
    }
  });
});
