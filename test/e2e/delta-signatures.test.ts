// Signatures of images that deltas carry, as cosign stores them; skopeo finds what comes out.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { DELTA_TYPE, readDelta } from '../../src/delta/artifact.js';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { OCI_CONFIG, OCI_MANIFEST } from '../../src/oci/media-types.js';
import { openZstdLibrary } from '../../src/system/zstd-library.js';
import { createArtifact, createImage, openImage } from '../../src/transports/image-reference.js';
import type { ImageReader, ImageWriter } from '../../src/transports/transport.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const PAYLOAD = 'application/vnd.dev.cosign.simplesigning.v1+json';
const SIGNATURE = 'dev.cosignproject.cosign/signature';
const foundSignature = v.object({
  mimeType: v.string(),
  payload: v.string(),
  annotations: v.record(v.string(), v.string()),
});
const REFERRING = 'application/vnd.dev.cosign.artifact.sig.v1+json';

function file(name: string, change: string): ForgedEntry {
  const lines = Array.from({ length: 900 }, (_, i) => (i === 450 ? change : `${name}${i}`));
  const noise = lines.map((line) => createHash('sha256').update(line).digest('hex'));
  return { ...{ name, type: 'file', content: Buffer.from(noise.join('\n')), mode: 0o644 } };
}
const image = (change: string) => forgePlain([[file('usr/changed', change)]]).imgref;
const old = image('1');
const raw = image('2');

const tagOf = ({ manifestDigest }: ImageReader) => `${manifestDigest.replace(':', '-')}.sig`;

/** Writes a signature of an image as cosign does; one with `subject` refers to the image. */
async function writeSignature(
  { manifestDigest, manifestBytes }: ImageReader,
  { key, writer, isReferring }: { key: KeyObject; writer: ImageWriter; isReferring: boolean },
): Promise<void> {
  const payload = canonicalJson({
    critical: {
      identity: { 'docker-reference': 'example.com/os' },
      image: { 'docker-manifest-digest': manifestDigest },
      type: 'cosign container image signature',
    },
    optional: null,
  });
  const blob = { mediaType: PAYLOAD, digest: sha256Digest(payload), size: payload.length };
  const signature = sign('sha256', payload, key).toString('base64');
  const annotations = { [SIGNATURE]: signature };
  const rootfs = { type: 'layers', diff_ids: [blob.digest] };
  const config = canonicalJson({ architecture: '', os: '', rootfs });
  const subject = { mediaType: OCI_MANIFEST, digest: manifestDigest, size: manifestBytes.length };
  const manifest = canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: {
      mediaType: isReferring ? REFERRING : OCI_CONFIG,
      digest: sha256Digest(config),
      size: config.length,
    },
    layers: [{ ...blob, annotations }],
    ...{ subject: isReferring ? subject : undefined },
  });
  const path = join(writer.stagingDirectory, 'payload');
  writeFileSync(path, payload);
  await writer.addBlob(path, blob);
  await writer.commit({ config, manifest, platform: undefined });
}

const isNative = openZstdLibrary() !== undefined;
const skip = !isNative && 'needs Linux with glibc and koffi';

suite('a delta to a signed image', { skip }, () => {
  const { publicKey, privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const directory = join(scratchDirectory(), 'layout');
  const imgref = `oci:${directory}:new`;
  const delta = `oci:${join(scratchDirectory(), 'delta')}`;
  let target: ImageReader;

  before(async () => {
    ostrata(['build', `--from=${raw}`, imgref]);
    target = await openImage(imgref);
    const tagged = await createImage(`oci:${directory}:${tagOf(target)}`);
    await writeSignature(target, { key, writer: tagged, isReferring: false });
    const referring = await createArtifact(imgref);
    await writeSignature(target, { key, writer: referring, isReferring: true });
    ostrata(['delta', 'create', old, imgref, delta]);
  });

  test('carries its signatures, and what they consist of', async () => {
    const artifact = await openImage(delta, { artifactType: DELTA_TYPE });
    assert.equal((await readDelta(artifact)).signatures.length, 2);
    const contents = artifact.manifest.layers.map(
      ({ annotations }) => annotations?.['io.github.containers.delta.content'],
    );
    const signature = 'cosign-signature';
    const content = 'cosign-signature-content';
    assert.deepEqual(contents.slice(-6), [
      signature,
      content,
      content,
      signature,
      content,
      content,
    ]);
  });

  test('puts them beside the image that it gives', async () => {
    const out = join(scratchDirectory(), 'out');
    ostrata(['delta', 'apply', delta, `oci:${out}:new`, '--source', old]);
    const rebuilt = await openImage(`oci:${out}:new`);
    assert.equal(rebuilt.manifestDigest, target.manifestDigest);
    const tagged = await openImage(`oci:${out}:${tagOf(target)}`, { artifactType: OCI_CONFIG });
    const [layer] = tagged.manifest.layers;
    assert.equal(layer?.mediaType, PAYLOAD);
    assert.equal((await rebuilt.referrers?.(REFERRING))?.length, 1);
  });

  test('says that an image without a name gets none', () => {
    const out = `oci:${join(scratchDirectory(), 'out')}`;
    const { status, stderr } = tryOstrata(['delta', 'apply', delta, out, '--source', old]);
    assert.equal(status, 0);
    assert.match(stderr, /without 2 signatures of the image: .* needs a tag, oci:DIR:TAG/);
  });

  suite('in registries', needs('docker-registry', 'skopeo'), () => {
    let registry: Registry;
    before(async () => {
      registry = await startRegistry(join(scratchDirectory(), 'registry'));
    });
    after(() => registry.stop());

    test('gives an image whose signature skopeo finds', () => {
      const { host } = registry;
      ostrata(['delta', 'apply', delta, `registry:${host}/os:new`, '--source', old]);

      const scratch = scratchDirectory();
      const policy = join(scratch, 'policy.json');
      writeFileSync(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
      const registries = join(scratch, 'registries.d');
      mkdirSync(registries);
      const attachments = { docker: { [host]: { 'use-sigstore-attachments': true } } };
      writeFileSync(join(registries, 'default.yaml'), JSON.stringify(attachments));
      const copy = join(scratch, 'copy');
      run('skopeo', [
        `--policy=${policy}`,
        `--registries.d=${registries}`,
        'copy',
        '--src-tls-verify=false',
        `docker://${host}/os:new`,
        `dir:${copy}`,
      ]);
      // What follows the name of the format and a line feed is JSON.
      const found = readFileSync(join(copy, 'signature-1'), 'latin1');
      const { mimeType, payload, annotations } = parseJson(
        found.slice(found.indexOf('{')),
        foundSignature,
      );
      assert.equal(mimeType, PAYLOAD);
      const signed = Buffer.from(payload, 'base64');
      const signature = Buffer.from(annotations[SIGNATURE] ?? '', 'base64');
      assert.ok(verify('sha256', signed, publicKey, signature));
      assert.ok(signed.includes(target.manifestDigest));
    });
  });
});
