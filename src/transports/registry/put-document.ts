/**
 * Pushes manifests and indexes:
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pushing-manifests
 */
import { OstrataError } from '../../errors.js';
import { sha256Digest } from '../../oci/json.js';
import type { RegistryClient } from './client.js';
import { type HttpResponse, MAX_MESSAGE_SIZE, readAll } from './response.js';

/**
 * Pushes a document and returns the headers of the response. Throws `CORRUPT` if the registry says
 * that it has stored other bytes.
 * @param name a tag or the digest of the document
 */
export async function putDocument(
  client: RegistryClient,
  document: Uint8Array,
  mediaType: string,
  name: string,
): Promise<HttpResponse['headers']> {
  const response = await client.request({
    method: 'PUT',
    target: `manifests/${name}`,
    headers: { 'content-type': mediaType },
    body: { length: document.length, stream: () => [document] },
    expected: [201],
  });
  await readAll(response, MAX_MESSAGE_SIZE);

  const stored = response.headers['docker-content-digest'];
  const digest = sha256Digest(document);
  if (stored !== undefined && stored !== digest) {
    const rule = `the registry has stored the manifest ${digest} as ${stored}`;
    throw new OstrataError('CORRUPT', rule);
  }
  return response.headers;
}
