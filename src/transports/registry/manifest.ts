/**
 * Fetches manifests:
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests
 */
import * as v from 'valibot';
import { decodeJson, parseJson } from '../../bytes/json.js';
import { didYouMean } from '../../bytes/nearest.js';
import { inContext, OstrataError } from '../../errors.js';
import { sha256Digest } from '../../oci/json.js';
import { INDEX_MEDIA_TYPES, MANIFEST_MEDIA_TYPES } from '../../oci/media-types.js';
import { choosePlatform, hostPlatform, type PlatformChoice } from '../../oci/platform.js';
import {
  type Descriptor,
  type ImageIndex,
  MAX_JSON_SIZE,
  type Manifest,
  parseArtifact,
  parseIndex,
  parseManifest,
} from '../../oci/types.js';
import type { TransportOptions } from '../transport.js';
import type { RegistryClient } from './client.js';
import { isTag, tagOrDigest } from './reference.js';
import { RequestError } from './request-error.js';
import { readAll } from './response.js';
import { retry } from './retry.js';

export interface FetchedManifest {
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly manifest: Manifest;
}

/** A manifest or an index. */
interface Document {
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly mediaType: string | undefined;
}

const ACCEPT = [...MANIFEST_MEDIA_TYPES, ...INDEX_MEDIA_TYPES].join(', ');

/** Tags that are asked for, and shown, in the message about a missing one. */
const MAX_TAGS = 1000;
const MAX_LISTED_TAGS = 5;
const TAGS_TIMEOUT_MS = 5000;
/** Thousands of artifacts may be in memory at the same time; one of ours has less than a kB. */
const MAX_ARTIFACT_SIZE = 64 << 10;
const tagList = v.object({ tags: v.nullish(v.array(v.string())) });

type ManifestChoice = Pick<TransportOptions, 'manifest' | 'platform' | 'artifactType'>;

/**
 * Fetches the manifest that the client's reference names. If the reference names an index, that is
 * the manifest for `platform`. Throws `CORRUPT` unless the digest is right.
 * @param options `manifest` is fetched, if it is given, and not what the reference names
 */
export async function fetchManifest(
  client: RegistryClient,
  { manifest, platform = hostPlatform(), artifactType }: ManifestChoice,
): Promise<FetchedManifest> {
  const { bytes, digest, mediaType } =
    manifest === undefined
      ? await fetchChosen(client, platform)
      : await fetchDescribed(client, manifest);
  if (mediaType !== undefined && !MANIFEST_MEDIA_TYPES.includes(mediaType)) {
    throw new OstrataError(
      'UNSUPPORTED',
      `the registry sent a manifest of the unknown media type ${mediaType}`,
    );
  }
  const parsed =
    artifactType === undefined ? parseManifest(bytes) : parseArtifact(bytes, artifactType);
  return { bytes, digest, manifest: parsed };
}

async function fetchChosen(client: RegistryClient, platform: PlatformChoice): Promise<Document> {
  const named = await fetchNamed(client);
  const index = indexOf(named);
  return index === undefined ? named : fetchDescribed(client, choosePlatform(index, platform));
}

/** Fetches the index that the client's reference names; undefined if it names one image. */
export async function fetchIndex(client: RegistryClient): Promise<ImageIndex | undefined> {
  return indexOf(await fetchNamed(client));
}

/** Returns the digests of the images that a tag names: of one, or of those in an index. */
export async function imagesOfTag(client: RegistryClient, tag: string): Promise<readonly string[]> {
  const document = await fetchDocument(client, tag);
  const index = indexOf(document);
  return index === undefined ? [document.digest] : index.manifests.map(({ digest }) => digest);
}

function indexOf({ mediaType, bytes }: Document): ImageIndex | undefined {
  const isIndex = mediaType !== undefined && INDEX_MEDIA_TYPES.includes(mediaType);
  return isIndex ? parseIndex(bytes) : undefined;
}

/**
 * Fetches the artifact with a tag of the repository; undefined if it has none. Throws `LIMIT` if
 * its manifest has more than 64 kB.
 */
export async function fetchArtifact(
  client: RegistryClient,
  tag: string,
  artifactType: string,
): Promise<FetchedManifest | undefined> {
  const bytes = await fetchTagged(client, tag);
  if (bytes === undefined) {
    return undefined;
  }
  if (bytes.length > MAX_ARTIFACT_SIZE) {
    const rule = `manifest of ${bytes.length} bytes, at most ${MAX_ARTIFACT_SIZE}`;
    throw new OstrataError('LIMIT', rule);
  }
  const manifest = parseArtifact(bytes, artifactType);
  return { bytes, digest: sha256Digest(bytes), manifest };
}

/** Fetches the document with a tag of the repository; undefined if it has none. */
export async function fetchTagged(
  client: RegistryClient,
  tag: string,
): Promise<Uint8Array | undefined> {
  try {
    return (await fetchDocument(client, tag)).bytes;
  } catch (error) {
    if (error instanceof RequestError && error.status === 404) {
      return undefined;
    }
    throw error;
  }
}

/** Fetches what the reference names. The error for a missing tag says what the registry has. */
async function fetchNamed(client: RegistryClient): Promise<Document> {
  const { tag, host, repository } = client.reference;
  try {
    return await fetchDocument(client, tagOrDigest(client.reference));
  } catch (error) {
    if (tag === undefined || !(error instanceof RequestError) || error.status !== 404) {
      throw error;
    }
    const tags = await listTags(client);
    const explanation =
      tags === undefined
        ? `${host} has no repository ${repository}, or does not show it`
        : `${host} has no tag ${tag} in the repository ${repository}${suggestion(tag, tags)}`;
    throw error.withMessage(`${explanation} (${error.message})`);
  }
}

function suggestion(tag: string, tags: readonly string[]): string {
  const listed = tags.slice(-MAX_LISTED_TAGS).join(', ') || 'none';
  return (
    didYouMean(tag, tags) || `; tags: ${tags.length > MAX_LISTED_TAGS ? '..., ' : ''}${listed}`
  );
}

/** Returns the first tags of the repository; undefined if the registry does not list them. */
async function listTags(client: RegistryClient): Promise<readonly string[] | undefined> {
  try {
    const response = await client.requestOnce({
      method: 'GET',
      target: `tags/list?n=${MAX_TAGS}`,
      expected: [200],
      stallTimeoutMs: TAGS_TIMEOUT_MS,
    });
    const text = Buffer.from(await readAll(response, MAX_JSON_SIZE)).toString();
    return parseJson(text, tagList).tags?.filter(isTag) ?? [];
  } catch {
    return undefined;
  }
}

/** Fetches a manifest that an index lists. */
async function fetchDescribed(
  client: RegistryClient,
  { digest, size }: Descriptor,
): Promise<Document> {
  const document = await fetchDocument(client, digest);
  if (document.bytes.length !== size) {
    throw new OstrataError(
      'CORRUPT',
      `manifest ${digest}: ${document.bytes.length} bytes, the index says ${size}`,
    );
  }
  return document;
}

async function fetchDocument(client: RegistryClient, name: string): Promise<Document> {
  return retry(client.retryPolicy, async () => {
    try {
      return await fetchOnce(client, name);
    } catch (error) {
      throw client.failure(`reading manifest ${name}`, error);
    }
  });
}

async function fetchOnce(client: RegistryClient, name: string): Promise<Document> {
  const response = await client.requestOnce({
    method: 'GET',
    target: `manifests/${name}`,
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
        `manifest ${wanted}: the registry sent one with the digest ${digest}`,
      );
    }
  }
  return { bytes, digest, mediaType: mediaTypeOf(bytes, response.headers['content-type']) };
}

/**
 * Returns the media type of a document. The document and the header `Content-Type` must agree: if
 * not, other programs could read as one kind what we verified as the other.
 */
function mediaTypeOf(bytes: Uint8Array, contentType: string | undefined): string | undefined {
  const header = contentType?.split(';')[0]?.trim();
  const announced = header?.startsWith('application/vnd.') ? header : undefined;
  const stated = statedMediaType(bytes);
  if (stated !== undefined && announced !== undefined && announced !== stated) {
    throw new OstrataError(
      'CORRUPT',
      `the manifest is of media type ${stated}, the registry says ${announced}`,
    );
  }
  return stated ?? announced;
}

const typedDocument = v.object({ mediaType: v.string() });

/** Returns the member `mediaType` of a document; undefined if it has none. */
function statedMediaType(bytes: Uint8Array): string | undefined {
  const json = inContext('manifest', () => decodeJson(Buffer.from(bytes).toString()));
  const { success, output } = v.safeParse(typedDocument, json);
  return success ? output.mediaType : undefined;
}
