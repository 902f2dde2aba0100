/** Clients find the deltas of an image in its registry, and take the one that costs the least. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { pullImage } from '../../src/client/pull.js';
import type { ImportOptions } from '../../src/client/session.js';
import { silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import { sha256Digest } from '../../src/oci/json.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import { fsck } from '../support/client.js';
import { copyImage } from '../support/copy-blobs.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { briefFaults } from '../support/fault-bench.js';
import { type Fault, type FaultProxy, startFaultProxy } from '../support/fault-proxy.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { filesBelow, importOptions, newRepo } from '../support/import-image.js';
import { newTraffic } from '../support/random-images.js';
import { ostrata, run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { diffOf, writeDelta } from '../support/write-delta.js';
import { torture } from '../torture.js';

const file = (name: string, size: number): ForgedEntry => {
  const lines = Array.from({ length: Math.ceil(size / 64) }, (_, i) =>
    createHash('sha256').update(`${name}${i}`).digest('hex'),
  );
  return { name, type: 'file', content: Buffer.from(lines.join('').slice(0, size)), mode: 0o644 };
};
const kept = [file('usr/kept', 1000)];
const [a, b, c] = [file('usr/a', 300_000), file('usr/b', 200_000), file('usr/c', 100_000)];
const oldLayers = [kept, [a, b, c]];
const newLayers = [kept, [a, file('usr/new', 500)], [c, b, file('usr/other', 500)]];

suite(
  'an update whose delta is in the registry',
  needs('docker-registry', 'ostree', 'skopeo'),
  () => {
    const scratch = scratchDirectory();
    /** A repository with the old image. */
    const pulled = newRepo();
    let registry: Registry;
    let proxy: FaultProxy;
    let target: ImageReader;
    /** The merge commit that a pull by layers makes. */
    let expected = '';
    const tarDiffs = (...copied: readonly string[]) =>
      newLayers.map((layer) => diffOf(layer, copied));
    const [, ...best] = tarDiffs('usr/a', 'usr/b', 'usr/c');
    const sizeOfBest = best.reduce((sum, { length }) => sum + length, 0);
    const at = (tag: string) => `registry:${registry.host}/os:${tag}`;
    const dockerAt = (tag: string) => `docker://${registry.host}/os:${tag}`;
    const throughProxy = () => `docker://${proxy.host}/os:new`;

    before(async () => {
      registry = await startRegistry(join(scratch, 'registry'));
      proxy = await startFaultProxy(registry.host);
      const { imgref: old } = forgePlain(oldLayers);
      const { imgref: updated } = forgePlain(newLayers);
      const { imgref: unknown } = forgePlain([kept]);
      await pullImage(importOptions(pulled, old));
      ({ mergeCommit: expected } = await pullImage(importOptions(repoWithOld(), updated)));
      await copyImage(await openImage(old), await createImage(at('old')));
      await copyImage(await openImage(updated), await createImage(at('new')));
      target = await openImage(at('new'));

      const put = async (tag: string, source: string, diffs: readonly Uint8Array[]) => {
        const blobs = new Map(diffs.map((bytes, i) => [i + 1, bytes]));
        await writeDelta(at(tag), await openImage(source), target, blobs);
      };
      await put('large', old, tarDiffs('usr/a').slice(1));
      await put('best', old, best);
      await put('small', old, tarDiffs('usr/a', 'usr/b').slice(1));
      // It would be smaller still, but nobody has its source.
      await put('unknown', unknown, [Buffer.from('x'), Buffer.from('y')]);
    });
    after(async () => {
      await target.close?.();
      await proxy.stop();
      await registry.stop();
    });
    beforeEach(() => {
      proxy.fault = () => undefined;
      proxy.seen.length = 0;
    });

    function repoWithOld(): string {
      const repo = join(scratchDirectory(), 'repo');
      cpSync(pulled, repo, { recursive: true });
      return repo;
    }

    const asked = (part: string) => proxy.seen.filter(({ path }) => path.includes(part)).length;

    /** Pulls the update through the proxy; asserts that it is what a pull by layers makes. */
    async function pullUpdate(more: Partial<ImportOptions> = {}) {
      const repo = repoWithOld();
      const warnings: string[] = [];
      const traffic = newTraffic();
      const result = await pullImage({
        ...importOptions(repo, throughProxy()),
        transport: { tlsVerify: false, retries: 1, traffic },
        log: { ...silentLogger, warn: (message) => void warnings.push(message) },
        ...more,
      });
      assert.equal(result.mergeCommit, expected);
      assert.deepEqual(filesBelow(join(repo, 'tmp')), []);
      fsck(repo);
      return { ...result, warnings, traffic, repo };
    }

    test('costs the bytes of the smallest delta that fits', async () => {
      const { warnings, traffic, layersRebuilt, bytesFetched } = await pullUpdate();
      assert.deepEqual([warnings, layersRebuilt], [[], 2]);
      assert.equal(bytesFetched, sizeOfBest);
      assert.equal(traffic.blobBytesReceived, target.manifest.config.size + sizeOfBest);
      for (const { digest } of target.manifest.layers) {
        assert.equal(asked(`blobs/${digest}`), 0);
      }
    });

    test('costs the bytes of its layers without a delta, and no request for one', async () => {
      const { layersRebuilt, bytesFetched } = await pullUpdate({ delta: 'none' });
      const [, ...layers] = target.manifest.layers;
      assert.equal(
        bytesFetched,
        layers.reduce((sum, { size }) => sum + size, 0),
      );
      assert.deepEqual([layersRebuilt, asked('referrers'), asked('sha256-')], [0, 0, 0]);
    });

    test('asks for no delta if nothing is missing, or nothing is there', async () => {
      const { repo } = await pullUpdate();
      proxy.seen.length = 0;
      const options = { ...importOptions(repo, throughProxy()), transport: { tlsVerify: false } };
      await pullImage(options);
      await pullImage({ ...options, repo: newRepo() });
      assert.deepEqual([asked('referrers'), asked('sha256-')], [0, 0]);
    });

    const isDelta = (path: string) => best.some((bytes) => path.includes(sha256Digest(bytes)));
    const isList = (path: string) => /referrers|manifests\/sha256-/.test(path);
    const lasting: readonly [string, (path: string) => boolean, Fault, RegExp][] = [
      ['a lost blob', isDelta, { status: 404 }, /the delta fails, .*HTTP status 404/],
      ['a forbidden blob', isDelta, { status: 403 }, /the delta fails, .*HTTP status 403/],
      ['an error at a blob', isDelta, { status: 500 }, /the delta fails, .*HTTP status 500/],
      ['a damaged blob', isDelta, { flip: 'answer', at: 300 }, /the delta fails, /],
      ['a blob that is cut', isDelta, { cut: 100, end: 'reset' }, /the delta fails, /],
      ['an endless blob', isDelta, { cut: 100, end: 'endless' }, /more than its \d+ bytes/],
      ['an error at the list', isList, { status: 500 }, /no delta is used: .*HTTP status 500/],
      ['a list that is none', isList, { status: 200, body: 'x' }, /no delta is used: .*JSON/],
    ];
    for (const [what, fits, fault, message] of lasting) {
      test(`costs one warning, and its layers, with ${what}`, async () => {
        proxy.fault = ({ path }) => (fits(path) ? fault : undefined);
        const { warnings, layersRebuilt } = await pullUpdate();
        assert.equal(layersRebuilt, 0);
        assert.equal(warnings.length, 1, warnings.join('\n'));
        assert.match(warnings.join(), message);
      });
    }

    for (const [what, fault] of briefFaults) {
      test(`continues after ${what}`, async () => {
        let left = 1;
        proxy.fault = ({ path }) => (isDelta(path) && left-- > 0 ? fault : undefined);
        const { layersRebuilt } = await pullUpdate();
        assert.equal(layersRebuilt, 2);
      });
    }

    test('is shown by --dry-run and by --json', () => {
      const imgref = `ostree-unverified-image:${at('new')}`;
      const preview = (...options: readonly string[]) => {
        const command = ['container', 'image', 'pull', '--dry-run', ...options];
        return ostrata([...command, repoWithOld(), imgref]);
      };
      const lines = preview().trim().split('\n');
      assert.equal(lines.length, 3);
      assert.match(lines[0] ?? '', /^layer 1 {2}sha256:\w+ {2}\d+ B of 1\d\d kB /);
      const both = /^2 layers to fetch \(\d+ B by a delta, \d+ kB by layers\), 1 present$/;
      assert.match(lines[2] ?? '', both);
      assert.match(preview('--no-delta'), /\n2 layers to fetch \(\d+ kB\), 1 present\n$/);

      const planned = v.object({
        bytesNeeded: v.number(),
        bytesByLayers: v.number(),
        delta: v.optional(v.string()),
      });
      const withDelta = parseJson(preview('--json'), planned);
      assert.equal(withDelta.bytesNeeded, sizeOfBest);
      assert.match(withDelta.delta ?? '', /^sha256:/);
      const without = parseJson(preview('--json', '--no-delta'), planned);
      assert.equal(without.bytesNeeded, withDelta.bytesByLayers);
      assert.equal(without.delta, undefined);
    });

    test('can be carried by hand', () => {
      const archive = `oci-archive:${join(scratchDirectory(), 'update.delta')}`;
      run('skopeo', ['copy', '--quiet', '--src-tls-verify=false', dockerAt('best'), archive]);
      const command = ['container', 'image', 'pull', `--delta=${archive}`, '--json'];
      const imgref = `ostree-unverified-image:${at('new')}`;
      const result =
        ostrata([...command, repoWithOld(), imgref])
          .trim()
          .split('\n')
          .at(-1) ?? '';
      const { mergeCommit } = parseJson(result, v.object({ mergeCommit: v.string() }));
      assert.equal(mergeCommit, expected);
    });

    test('continues after it was killed at random moments', async () => {
      const result = await torture(`ostree-unverified-image:${at('new')}`, {
        kills: 4,
        seed: 7,
        mode: 'archive',
        report: () => {},
        previous: `ostree-unverified-image:${at('old')}`,
      });
      assert.equal(result.kills, 4);
    });
  },
);
