// Artifacts without a tag that are pushed to registries of both kinds: those that list what refers
// to an image, and those that do not.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../../src/bytes/json.js';
import { canonicalJson, sha256Digest } from '../../../src/oci/json.js';
import { OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { createArtifact } from '../../../src/transports/image-reference.js';
import { withServer } from '../../support/fault-bench.js';

const EMPTY = Buffer.from('{}');
const subject = { mediaType: OCI_MANIFEST, digest: `sha256:${'1'.repeat(64)}`, size: 1 };
const manifest = canonicalJson({
  schemaVersion: 2,
  mediaType: OCI_MANIFEST,
  artifactType: 'application/vnd.example+delta',
  config: {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: sha256Digest(EMPTY),
    size: EMPTY.length,
  },
  layers: [],
  subject,
});
const digest = sha256Digest(manifest);
const tag = subject.digest.replace(':', '-');
const list = v.object({ manifests: v.array(v.object({ digest: v.string() })) });

/** Pushes the artifact, and returns what the registry was sent by PUT, by the end of the URL. */
async function push(listsReferrers: boolean): Promise<ReadonlyMap<string, string>> {
  const sent = new Map<string, string>();
  await withServer(
    async (request, response) => {
      const { method = '', url = '' } = request;
      const chunks: Buffer[] = [];
      for await (const chunk of request) {
        chunks.push(chunk);
      }
      if (method === 'POST' || method === 'PATCH') {
        const headers = { location: '/v2/os/blobs/uploads/1', range: '0-1' };
        response.writeHead(202, headers).end();
      } else if (method === 'PUT') {
        const name = url.slice(url.lastIndexOf('/') + 1);
        sent.set(name, Buffer.concat(chunks).toString());
        const headers = listsReferrers ? { 'oci-subject': subject.digest } : {};
        response.writeHead(201, headers).end();
      } else {
        response.writeHead(404).end();
      }
    },
    async (url) => {
      const imgref = `docker:${url.slice('http:'.length)}/os:new`;
      const writer = await createArtifact(imgref, { tlsVerify: false, retries: 0 });
      await writer.commit({ config: EMPTY, manifest, platform: undefined });
    },
  );
  return sent;
}

suite('an artifact without a tag', () => {
  test('is pushed by its digest alone where the registry lists it', async () => {
    const sent = await push(true);
    assert.equal(sent.get(digest), Buffer.from(manifest).toString());
    assert.equal(sent.has(tag), false);
  });

  test('is added to the list with a tag where the registry does not', async () => {
    const sent = await push(false);
    assert.equal(sent.get(digest), Buffer.from(manifest).toString());
    assert.deepEqual(parseJson(sent.get(tag) ?? '', list).manifests, [{ digest }]);
  });
});
