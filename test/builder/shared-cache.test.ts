// Builds that share layers by a repository of a real registry, in which anyone can put anything.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { BlobCache } from '../../src/blobs/cache.js';
import { SharedCache } from '../../src/blobs/shared-cache.js';
import { CACHED_LAYER_TYPE, TAG_PREFIX } from '../../src/blobs/shared-entry.js';
import { must } from '../../src/errors.js';
import { type ProgressEvent, silentLogger } from '../../src/log.js';
import { EMPTY_OBJECT } from '../../src/oci/empty-config.js';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { OCI_LAYER_ZSTD } from '../../src/oci/media-types.js';
import type { Descriptor, Manifest } from '../../src/oci/types.js';
import { openArtifactRepository } from '../../src/transports/image-reference.js';
import type { ArtifactRights, TaggedArtifact } from '../../src/transports/transport.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k'];
const tree = dir(
  Object.fromEntries(NAMES.map((name) => [name, dir({ x: `content of ${name}`.repeat(500) })])),
);
/** The commit, and one layer for each directory. */
const LAYERS = NAMES.length + 1;
const signal = new AbortController().signal;
const FAST = { retries: 1, stallTimeoutMs: 20_000 };
const SECRET = Buffer.from('the builders share this secret');

interface CacheUse {
  /** Repositories with their hosts. */
  readonly from?: readonly string[];
  readonly to?: string;
  readonly secret?: Uint8Array | undefined;
  readonly imgref?: string | undefined;
  readonly cache?: BlobCache;
  readonly onProgress?: (event: ProgressEvent) => void;
}

/** Builds the image of the tree, as another machine would. */
async function build({ from = [], to, secret, imgref, cache, onProgress }: CacheUse) {
  const warnings: string[] = [];
  const warn = (message: string) => {
    if (!message.includes('has no readable package database')) {
      warnings.push(message);
    }
  };
  const log = { ...silentLogger, warn, progress: onProgress ?? silentLogger.progress };
  const place = (name: string, rights: ArtifactRights) => ({
    name,
    open: () => openArtifactRepository(name, FAST, rights),
  });
  const sharedCache = new SharedCache({
    from: from.map((name) => place(name, 'pull')),
    to: to === undefined ? undefined : place(to, 'pull,push'),
    secret,
    log,
    signal,
  });
  try {
    const { written } = await buildImage(tree, { sharedCache, imgref, log, cache });
    return {
      digest: written.manifestDigest,
      origins: new Set(written.layers.map(({ origin }) => origin)),
      newCount: written.layers.filter(({ origin }) => origin === 'new').length,
      warnings,
    };
  } finally {
    await sharedCache.close();
  }
}

/** How the blob of an entry differs from what it should be; `other` is the next entry. */
interface Lie {
  readonly change?: (own: Manifest, other: Manifest) => Manifest;
  /** Replaces the blob, with its true digest. */
  readonly blob?: (honest: Buffer) => Buffer;
  readonly warning: RegExp;
}

const withLayer = (own: Manifest, change: Partial<Descriptor>): Manifest => ({
  ...own,
  layers: own.layers.map((layer) => ({ ...layer, ...change })),
});

/** Returns JSON that is deeper than what is read. */
function deep(levels = 70): unknown {
  return levels === 0 ? 0 : [deep(levels - 1)];
}

/** One for each directory. */
const LIES: readonly Lie[] = [
  { blob: () => gzipSync('other content'), warning: /blob sha256:\w+ holds sha256:\w+, not/ },
  { blob: (honest) => honest.subarray(0, -9), warning: /is not used: unexpected end of file/ },
  {
    blob: (honest) => Buffer.concat([honest, Buffer.alloc(9)]),
    warning: /its gzip stream ends at byte/,
  },
  {
    change: (own, { annotations, layers }) => ({
      ...own,
      layers,
      annotations: {
        ...annotations,
        'ostrata.cache.key': must(own.annotations?.['ostrata.cache.key'], 'key'),
      },
    }),
    warning: /it is for the tar sha256:\w+, but the layer is sha256:/,
  },
  { change: (_, other) => other, warning: /its key is \S+, expected / },
  {
    change: (own) => withLayer(own, { mediaType: OCI_LAYER_ZSTD }),
    warning: /its media type is \S+zstd, expected /,
  },
  { change: (own) => withLayer(own, { size: 1e9 }), warning: /its blob has 1000000000 bytes/ },
  {
    change: (own) => ({ ...own, artifactType: 'application/vnd.example' }),
    warning: /it is of the type application\/vnd.example/,
  },
  {
    blob: () => gzipSync(Buffer.alloc(40e6)),
    warning: /is not used: its tar has more than \d+ by/,
  },
  {
    change: (own) => ({ ...own, annotations: { ...own.annotations, x: 'x'.repeat(1e5) } }),
    warning: /manifest of \d+ bytes, at most 65536/,
  },
  {
    change: (own) => Object.assign({ deep: deep() }, own),
    warning: /JSON with more than 64 levels/,
  },
];

suite('builds on several machines', needs('docker-registry'), () => {
  let registry: Registry;
  let proxy: FaultProxy;
  /** What a build without any cache makes. */
  let digest: string;
  /** The repository with all layers, which no test changes. */
  let full: string;
  let count = 0;
  const newRepository = () => `registry:${proxy.host}/cache${count++}`;
  const newImage = () => `registry:${proxy.host}/os${count++}:x`;

  before(async () => {
    registry = await startRegistry(join(scratchDirectory(), 'registry'));
    proxy = await startFaultProxy(registry.host);
    full = newRepository();
    digest = (await build({})).digest;
    assert.deepEqual(await build({ to: full, secret: SECRET }), {
      ...{ digest, newCount: LAYERS, warnings: [] },
      origins: new Set(['new']),
    });
  });
  after(async () => {
    await proxy.stop();
    await registry.stop();
  });

  /** Returns the requests of a build for blobs, by method. */
  async function blobRequests(use: CacheUse): Promise<ReadonlyMap<string, number>> {
    const start = proxy.seen.length;
    const built = await build(use);
    assert.deepEqual([built.digest, built.newCount, built.warnings], [digest, 0, []]);
    const counts = new Map<string, number>();
    for (const { method, path } of proxy.seen.slice(start)) {
      if (path.includes('/blobs/')) {
        const name = path.includes('?mount=') ? 'mount' : method;
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    }
    return counts;
  }

  test('read and check the layers of others, and let the registry mount them', async () => {
    const requests = await blobRequests({ from: [full], imgref: newImage() });
    assert.equal(requests.get('GET'), LAYERS);
    assert.equal(requests.get('mount'), LAYERS);
    assert.equal(requests.get('PUT'), 1, 'only the config is uploaded');
  });

  test('read nothing that the secret authenticates and the registry can mount', async () => {
    const use = { from: [full], secret: SECRET };
    const requests = await blobRequests({ ...use, imgref: newImage() });
    assert.equal(requests.get('GET'), undefined);
    assert.equal(requests.get('mount'), LAYERS);
    assert.equal((await blobRequests(use)).get('GET'), LAYERS, 'another place needs the bytes');
  });

  test('report the bytes that they download, also those that they do not use', async () => {
    const poisoned = newRepository();
    await build({ to: poisoned });
    await poison(poisoned);
    const use = { from: [full], secret: SECRET };
    for (const [each, partCount] of [
      [use, LAYERS],
      [{ from: [full] }, LAYERS],
      [{ ...use, imgref: newImage() }, 0],
      [{ from: [poisoned] }, LAYERS - LIES.filter(({ blob }) => blob === undefined).length],
    ] as const) {
      const events: ProgressEvent[] = [];
      await build({ ...each, onProgress: (event) => events.push(event) });
      const downloads = events.filter(({ work }) => work === 'downloading shared layers');
      const parts = downloads.filter(({ part }) => part !== undefined);
      const started = parts.filter(({ event }) => event === 'start');
      const ended = parts.filter(({ event }) => event === 'end');
      assert.deepEqual([started.length, ended.length], [partCount, partCount]);
      const last = downloads.at(-1) ?? assert.fail();
      assert.deepEqual([last.event, last.part, last.done], ['end', undefined, last.total]);
      assert.equal(last.done > 0, partCount > 0);
    }
  });

  test('check what another secret has authenticated', async () => {
    const secret = randomBytes(32);
    const requests = await blobRequests({ from: [full], secret, imgref: newImage() });
    assert.equal(requests.get('GET'), LAYERS);
  });

  test('keep what they have read in the cache on the disk', async () => {
    const cache = new BlobCache(scratchDirectory(), 1e9, silentLogger);
    assert.deepEqual((await build({ from: [full], cache })).origins, new Set([full]));
    assert.deepEqual((await build({ from: [full], cache })).origins, new Set(['cache']));
    const to = newRepository();
    assert.deepEqual((await build({ to, cache })).origins, new Set(['cache']));
    assert.deepEqual((await build({ from: [to] })).origins, new Set([to]));
  });

  test('look into several repositories, also into one that is empty', async () => {
    assert.deepEqual((await build({ from: [newRepository(), full] })).origins, new Set([full]));
  });

  test('add the same layers at the same time, and each makes the right image', async () => {
    const to = newRepository();
    const built = await Promise.all([1, 2].map(() => build({ from: [to], to })));
    for (const each of built) {
      assert.deepEqual([each.digest, each.warnings], [digest, []]);
    }
    assert.deepEqual((await build({ from: [to] })).origins, new Set([to]));
  });

  /** Replaces the entries of the directories by lies. */
  async function poison(name: string): Promise<void> {
    const repository = await openArtifactRepository(name, FAST, 'pull,push');
    const entries = await repository.tagged(TAG_PREFIX, CACHED_LAYER_TYPE);
    // The commit stays as it is, so that one honest entry is among them.
    const honest = entries.slice(0, LIES.length);
    for (const [i, entry] of honest.entries()) {
      const next = must(honest[(i + 1) % honest.length], 'the next entry');
      await replace(name, entry, next, must(LIES[i], `lie ${i}`));
    }
    // What is no entry must not keep the others from being listed, and so from being deleted.
    assert.equal((await repository.tagged(TAG_PREFIX, CACHED_LAYER_TYPE)).length, LAYERS - 3);
    repository.close();
  }

  async function replace(
    name: string,
    { tag, manifest }: TaggedArtifact,
    next: TaggedArtifact,
    { blob: blobOf, change = (own) => own }: Lie,
  ): Promise<void> {
    const repository = await openArtifactRepository(name, FAST, 'pull,push');
    const file = join(scratchDirectory(), 'blob');
    const [layer = assert.fail()] = manifest.layers;
    const image = must(await repository.find(tag, CACHED_LAYER_TYPE), tag);
    const chunks: Uint8Array[] = [];
    for await (const chunk of image.blob(layer)) {
      chunks.push(Buffer.from(chunk));
    }
    writeFileSync(file, blobOf?.(Buffer.concat(chunks)) ?? Buffer.concat(chunks));
    const bytes = readFileSync(file);
    const blob = { ...layer, digest: sha256Digest(bytes), size: bytes.length };
    const lie = change(withLayer(manifest, blob), next.manifest);
    await repository.add(tag, { config: EMPTY_OBJECT, manifest: canonicalJson(lie), blob }, file);
    repository.close();
  }

  test('refuse every entry that lies, and make it right again', async () => {
    const to = newRepository();
    await build({ to, secret: SECRET });
    await poison(to);
    for (const secret of [undefined, SECRET]) {
      const { warnings, ...built } = await build({ from: [to], secret, imgref: newImage() });
      assert.deepEqual([built.digest, built.newCount], [digest, LIES.length]);
      for (const { warning } of LIES) {
        const isGiven = warnings.some((each) => warning.test(each));
        assert.ok(isGiven, `${warning}: ${warnings.join('\n')}`);
      }
      assert.equal(warnings.length, LIES.length);
    }

    assert.equal((await build({ from: [to], to, secret: SECRET })).digest, digest);
    const requests = await blobRequests({ from: [to], secret: SECRET, imgref: newImage() });
    assert.equal(requests.get('GET'), undefined);
  });

  test('go on without a blob that the registry has lost', async () => {
    const to = newRepository();
    await build({ to });
    const repository = await openArtifactRepository(to, FAST, 'pull');
    const [entry = assert.fail()] = await repository.tagged(TAG_PREFIX, CACHED_LAYER_TYPE);
    repository.close();
    const path = to.slice(to.lastIndexOf('/') + 1);
    const url = `http://${registry.host}/v2/${path}/blobs/${entry.manifest.layers[0]?.digest}`;
    assert.equal((await fetch(url, { method: 'DELETE' })).status, 202);
    const built = await build({ from: [to], to });
    assert.deepEqual([built.digest, built.newCount], [digest, 1]);
    assert.match(built.warnings.join('\n'), /layer-\S+ in the cache \S+ is not used: /);
    assert.deepEqual((await build({ from: [to] })).origins, new Set([to]));
  });

  test('go on when the registry goes away, with one warning', async () => {
    for (const part of ['/manifests/', '/blobs/sha256']) {
      let left = 3;
      proxy.fault = ({ path }) =>
        path.includes(part) && --left < 0 ? { reset: 'before' } : undefined;
      const built = await build({ from: [full] });
      proxy.fault = () => undefined;
      assert.deepEqual([built.digest, built.warnings.length], [digest, 1]);
      assert.match(built.warnings[0] ?? '', /^the cache registry:\S+ is not used any more: /);
      assert.ok(built.newCount > 0 && built.newCount <= LAYERS, `${built.newCount}`);
    }
  });

  test('go on when the registry refuses, with one warning for reading and one for writing', async () => {
    for (const status of [403, 404, 500]) {
      proxy.fault = ({ path }) => (path.includes('/v2/cache') ? { status } : undefined);
      const { digest: actual, warnings } = await build({ from: [full], to: newRepository() });
      proxy.fault = () => undefined;
      const wanted = status === 404 ? 1 : 2; // a repository that is not there is empty
      assert.deepEqual([actual, warnings.length], [digest, wanted], `${status}`);
    }
  });

  test('go on without a registry that cannot be reached', async () => {
    const nowhere = 'registry:127.0.0.1:9/cache';
    const built = await build({ from: [nowhere], to: nowhere });
    assert.deepEqual([built.digest, built.newCount, built.warnings.length], [digest, LAYERS, 2]);
  });

  test('fail where the destination does', async () => {
    const imgref = newImage();
    const name = imgref.slice(imgref.lastIndexOf('/'), -2);
    proxy.fault = ({ method, path }) =>
      method === 'PUT' && path.includes(`${name}/`) ? { status: 403 } : undefined;
    await assert.rejects(build({ from: [full], to: newRepository(), imgref }), /status 403/);
    proxy.fault = () => undefined;
  });
});
