/** Fetching a manifest: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests */

import { OstrataError } from '../../errors.js';
import { sha256Digest } from '../../oci/json.js';
import { INDEX_MEDIA_TYPES, MANIFEST_MEDIA_TYPES } from '../../oci/media-types.js';
import { choosePlatform, hostPlatform, type PlatformChoice } from '../../oci/platform.js';
import { MAX_JSON_SIZE, type Manifest, parseIndex, parseManifest } from '../../oci/types.js';
import type { RegistryClient } from './client.js';
import { readAll } from './http.js';
import { Retries } from './retry.js';

export interface FetchedManifest {
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly manifest: Manifest;
}

interface Document {
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly mediaType: string | undefined;
}

const ACCEPT = [...MANIFEST_MEDIA_TYPES, ...INDEX_MEDIA_TYPES].join(', ');

/** The manifest that the client's reference names; of an index, the one for `platform`. Its digest is checked. */
export async function fetchManifest(
  client: RegistryClient,
  platform: PlatformChoice = hostPlatform(),
): Promise<FetchedManifest> {
  const { digest, tag } = client.reference;
  let document = await fetchDocument(client, digest ?? (tag as string));
  if (document.mediaType !== undefined && INDEX_MEDIA_TYPES.includes(document.mediaType)) {
    const chosen = choosePlatform(parseIndex(document.bytes), platform);
    document = await fetchDocument(client, chosen.digest);
    if (document.bytes.length !== chosen.size) {
      throw new OstrataError(
        'CORRUPT',
        `manifest ${chosen.digest}: ${document.bytes.length} bytes, the index says ${chosen.size}`,
      );
    }
  }
  if (document.mediaType !== undefined && !MANIFEST_MEDIA_TYPES.includes(document.mediaType)) {
    throw new OstrataError(
      'UNSUPPORTED',
      `the registry gives us a manifest of media type ${document.mediaType}`,
    );
  }
  return {
    bytes: document.bytes,
    digest: document.digest,
    manifest: parseManifest(document.bytes),
  };
}

async function fetchDocument(client: RegistryClient, name: string): Promise<Document> {
  const retries = new Retries(client.retryPolicy);
  for (;;) {
    try {
      return await fetchOnce(client, name);
    } catch (error) {
      await retries.after(client.failure(`reading manifest ${name}`, error));
    }
  }
}

async function fetchOnce(client: RegistryClient, name: string): Promise<Document> {
  const target = `manifests/${name}`;
  const response = await client.requestOnce({
    method: 'GET',
    target,
    headers: { accept: ACCEPT },
    expected: [200],
  });
  const bytes = await readAll(response, MAX_JSON_SIZE);
  const digest = sha256Digest(bytes);
  const announced = response.headers['docker-content-digest'];
  for (const wanted of [name, typeof announced === 'string' ? announced : '']) {
    if (wanted.startsWith('sha256:') && wanted !== digest) {
      throw new OstrataError(
        'CORRUPT',
        `the manifest of digest ${wanted} that the registry gives us has ${digest}`,
      );
    }
  }
  return { bytes, digest, mediaType: mediaTypeOf(bytes, response.headers['content-type']) };
}

/** What the document is; it and the registry must not say different things of it. */
function mediaTypeOf(bytes: Uint8Array, header: string | undefined): string | undefined {
  const announced = header?.split(';')[0]?.trim();
  let own: unknown;
  try {
    own = (JSON.parse(Buffer.from(bytes).toString()) as { mediaType?: unknown } | null)?.mediaType;
  } catch (cause) {
    throw new OstrataError('CORRUPT', 'the manifest is not JSON', { cause });
  }
  if (typeof own !== 'string') {
    return announced?.startsWith('application/vnd.') ? announced : undefined;
  }
  if (announced?.startsWith('application/vnd.') && announced !== own) {
    throw new OstrataError(
      'CORRUPT',
      `the manifest is of media type ${own}, the registry says ${announced}`,
    );
  }
  return own;
}
