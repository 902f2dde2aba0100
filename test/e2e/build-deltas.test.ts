// Builds that also make deltas to their image, in a real registry and in an OCI image layout.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { DELTA_TYPE, readDelta } from '../../src/delta/artifact.js';
import { openZstdLibrary } from '../../src/system/zstd-library.js';
import { openImage } from '../../src/transports/image-reference.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

/** Returns a file of noise in which one line depends on `change`. */
function file(name: string, change: string): ForgedEntry {
  const lines = Array.from({ length: 900 }, (_, i) => (i === 450 ? change : `${name}${i}`));
  const noise = lines.map((line) => createHash('sha256').update(line).digest('hex'));
  return { ...{ name, type: 'file', content: Buffer.from(noise.join('\n')), mode: 0o644 } };
}

const image = (change: string, ...more: ForgedEntry[]) =>
  forgePlain([[file('usr/kept', ''), file('usr/changed', change), ...more]]).imgref;
const older = image('1');
const old = image('2');
const raw = image('3');

const built = v.object({
  manifestDigest: v.string(),
  warnings: v.array(v.string()),
  deltas: v.array(
    v.object({
      source: v.string(),
      manifestDigest: v.string(),
      isWritten: v.boolean(),
      size: v.number(),
      layersSize: v.number(),
    }),
  ),
});

function build(imgref: string, ...sources: readonly string[]) {
  const from = sources.map((source) => `--delta-from=${source}`);
  return parseJson(ostrata(['build', `--from=${raw}`, '--json', ...from, imgref]), built);
}

const inspected = v.object({ manifestDigest: v.string(), size: v.number() });
const isNative = openZstdLibrary() !== undefined;
const skip = !isNative && 'needs Linux with glibc and koffi';

suite('a build with --delta-from', { skip }, () => {
  const newLayout = () => `oci:${join(scratchDirectory(), 'layout')}:new`;

  test('puts a delta from each image beside the new one', async () => {
    const imgref = newLayout();
    const { manifestDigest, deltas } = build(imgref, older, old);
    const written = await openImage(imgref);
    assert.equal(written.manifestDigest, manifestDigest);
    const referrers = (await written.referrers?.(DELTA_TYPE)) ?? [];
    assert.deepEqual(
      referrers.map(({ digest }) => digest),
      deltas.map((delta) => delta.manifestDigest),
    );
    for (const [i, manifest] of referrers.entries()) {
      const artifact = await openImage(imgref, { manifest, artifactType: DELTA_TYPE });
      const { sourceConfig, target } = await readDelta(artifact);
      const source = await openImage(deltas[i]?.source ?? '');
      assert.equal(sourceConfig, source.manifest.config.digest);
      assert.equal(target.manifestDigest, manifestDigest);
    }
    assert.ok(deltas.every(({ size, layersSize }) => size < layersSize / 2));
  });

  test('says what clients of each image download', () => {
    const report = ostrata(['build', `--from=${raw}`, `--delta-from=${old}`, newLayout()]);
    const expected = `A client of ${old} downloads a delta of [\\d.]+ kB instead of [\\d.]+ kB`;
    assert.match(report, new RegExp(expected));
  });

  test('makes deltas that compare and inspect report', () => {
    const imgref = newLayout();
    const {
      deltas: [delta],
    } = build(imgref, old);
    const text = ostrata(['container', 'compare', old, imgref]);
    assert.match(text, /^delta: +[\d.]+ k?B instead of the added layers \([\d.]+ %\)$/m);
    const other = ostrata(['container', 'compare', older, imgref]);
    assert.doesNotMatch(other, /^delta/m);

    const json = ostrata(['container', 'compare', '--json', old, imgref]);
    const compared = parseJson(json, v.object({ delta: inspected }));
    assert.equal(compared.delta.manifestDigest, delta?.manifestDigest);
    assert.ok(compared.delta.size < (delta?.size ?? 0));

    const differed = parseJson(
      ostrata(['diff', '--json', old, imgref]),
      v.object({ update: v.object({ delta: inspected }) }),
    );
    assert.deepEqual(differed.update.delta, compared.delta);
    assert.match(ostrata(['diff', old, imgref]), /^delta +[\d.]+ k?B instead of the layers/m);

    const copy = `oci:${join(scratchDirectory(), 'copy')}`;
    ostrata(['delta', 'create', old, imgref, copy]);
    const table = ostrata(['delta', 'inspect', copy]);
    assert.match(table, /tar-diff +dir:\/usr/);
  });

  test('writes no delta that is not smaller than the layers, and says so', async () => {
    const imgref = newLayout();
    const small = (text: string) =>
      forgePlain([[{ name: 'usr/a', type: 'file', content: Buffer.from(text), mode: 0o644 }]])
        .imgref;
    const [from, deltaFrom] = ['a', 'b'].map(small);
    const args = [`--from=${from}`, `--delta-from=${deltaFrom}`, '--json', imgref];
    const { deltas, warnings } = parseJson(ostrata(['build', ...args]), built);
    assert.deepEqual(
      deltas.map(({ isWritten }) => isWritten),
      [false],
    );
    assert.match(warnings.join('\n'), /no delta from .* is written, because it would have/);
    assert.deepEqual(await (await openImage(imgref)).referrers?.(DELTA_TYPE), []);
  });

  test('takes the image that it replaces by the name auto', async () => {
    const imgref = newLayout();
    ostrata(['build', `--from=${old}`, '--delta-from=auto', imgref]);
    const { manifest } = await openImage(imgref);
    build(imgref, 'auto');
    const replacing = await openImage(imgref);
    const [listed] = (await replacing.referrers?.(DELTA_TYPE)) ?? [];
    const artifact = await openImage(imgref, { manifest: listed, artifactType: DELTA_TYPE });
    assert.equal((await readDelta(artifact)).sourceConfig, manifest.config.digest);
    const again = build(imgref, 'auto');
    assert.equal(again.deltas[0]?.isWritten, false);
    assert.doesNotMatch(again.warnings.join('\n'), /delta/);
  });

  const refused: readonly [string, readonly string[], RegExp][] = [
    [
      'an old image that is missing',
      ['--delta-from=oci:missing', 'oci:out:new'],
      /^error: --delta-from: oci:missing: the folder missing does not exist/,
    ],
    ['an archive', [`--delta-from=${old}`, 'oci-archive:out'], /holds no artifacts/],
    ['an image without a tag', [`--delta-from=${old}`, 'oci:out'], /needs a tag, oci:DIR:TAG/],
  ];
  for (const [what, args, expected] of refused) {
    test(`refuses ${what} before it writes anything`, () => {
      const cwd = scratchDirectory();
      const result = tryOstrata(['build', `--from=${raw}`, ...args], { cwd });
      assert.notEqual(result.status, 0);
      assert.match(result.stderr, expected);
      assert.equal(existsSync(join(cwd, 'out')), false);
    });
  }

  suite('to a registry', needs('docker-registry', 'skopeo'), () => {
    let registry: Registry;
    const at = (name: string) => `registry:${registry.host}/os${name}`;
    before(async () => {
      registry = await startRegistry(join(scratchDirectory(), 'registry'));
    });
    after(() => registry.stop());

    test('makes artifacts that skopeo copies and that rebuild the image', async () => {
      ostrata(['build', `--from=${old}`, at(':old')]);
      const { manifestDigest, deltas } = build(at(':new'), at(':old'));
      const [delta] = deltas;
      const digest = delta?.manifestDigest ?? assert.fail();

      const copy = join(scratchDirectory(), 'copy');
      const name = `docker://${registry.host}/os@${digest}`;
      run('skopeo', ['copy', '--src-tls-verify=false', name, `oci:${copy}:delta`]);
      const source = at(':old');
      const out = `oci:${join(scratchDirectory(), 'out')}`;
      ostrata(['delta', 'apply', `oci:${copy}:delta`, '--source', source, out]);
      assert.equal((await openImage(out)).manifestDigest, manifestDigest);

      const listed = await (await openImage(at(':new'))).referrers?.(DELTA_TYPE);
      assert.deepEqual(
        listed?.map((each) => each.digest),
        [digest],
      );
      const tags = run('skopeo', ['list-tags', '--tls-verify=false', name.replace(/@.*/, '')]);
      const { Tags } = parseJson(tags, v.object({ Tags: v.array(v.string()) }));
      const list = manifestDigest.replace(':', '-');
      assert.deepEqual(new Set(Tags), new Set(['old', 'new', list]));
    });
  });
});
