/**
 * The artifact that holds one layer in a cache which builds on several machines share. Its tag is
 * made from the blob key, and its annotations say what entry.json says in a cache on the disk.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import * as v from 'valibot';
import { OstrataError } from '../errors.js';
import { EMPTY_CONFIG, EMPTY_OBJECT } from '../oci/empty-config.js';
import { canonicalJson } from '../oci/json.js';
import { OCI_MANIFEST } from '../oci/media-types.js';
import { type Descriptor, digestSchema, type Manifest } from '../oci/types.js';
import type { ArtifactDocuments } from '../transports/transport.js';
import type { BlobResult } from './writer.js';

export const CACHED_LAYER_TYPE = 'application/vnd.ostrata.cached-layer.v1';
/** What the tags of all entries begin with: a tag cannot begin with `-`, as a key can. */
export const TAG_PREFIX = 'layer-';

const KEY = 'ostrata.cache.key';
const DIFF_ID = 'ostrata.cache.diff-id';
const TAR_SIZE = 'ostrata.cache.tar-size';
const AUTHENTICATION = 'ostrata.cache.hmac-sha256';
const CREATED = 'org.opencontainers.image.created';

const annotationsSchema = v.object({
  [KEY]: v.string(),
  [DIFF_ID]: digestSchema,
  [TAR_SIZE]: v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number)),
  [AUTHENTICATION]: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
});

/** What an entry says about the blob of a layer; whoever can write to the cache can say it. */
export interface SharedEntry {
  readonly blob: BlobResult;
  readonly descriptor: Descriptor;
  /** Whether a builder that knows the secret has made the entry. */
  readonly isAuthentic: boolean;
}

/** Which blob an entry is to hold. */
export interface WantedBlob {
  /** Blob key: determines the bytes of the blob. */
  readonly key: string;
  readonly mediaType: string;
}

/** Returns the tag of an entry. Versions of zlib may have characters that a tag cannot have. */
export function tagOf({ key }: Pick<WantedBlob, 'key'>): string {
  return `${TAG_PREFIX}${key.replaceAll(/[^\w.-]/g, '_')}`;
}

/**
 * Returns the artifact of a blob. It does not depend on who makes it, and of the time only the day
 * is stated: builders that make the same layer at the same time add the same artifact.
 * @param secret what authenticates the entry; undefined without
 */
export function encodeSharedEntry(
  wanted: WantedBlob,
  blob: BlobResult,
  secret: Uint8Array | undefined,
  now: Date,
): ArtifactDocuments {
  const { digest, size, diffId, tarSize } = blob;
  const { key, mediaType } = wanted;
  const descriptor = { mediaType, digest, size };
  const day = now.toISOString().slice(0, 10);
  const manifest = canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: CACHED_LAYER_TYPE,
    config: EMPTY_CONFIG,
    layers: [descriptor],
    annotations: {
      [KEY]: key,
      [DIFF_ID]: diffId,
      [TAR_SIZE]: String(tarSize),
      [AUTHENTICATION]: secret && authenticationOf(wanted, blob, secret),
      [CREATED]: `${day}T00:00:00Z`,
    },
  });
  return { config: EMPTY_OBJECT, manifest, blob: descriptor };
}

/** Throws `CORRUPT` unless the manifest is that of an entry with the wanted blob. */
export function parseSharedEntry(
  { annotations = {}, layers }: Manifest,
  wanted: WantedBlob,
  secret: Uint8Array | undefined,
): SharedEntry {
  const parsed = v.safeParse(annotationsSchema, annotations);
  const [descriptor] = layers;
  if (!parsed.success || descriptor === undefined || layers.length > 1) {
    throw new OstrataError('CORRUPT', 'it is not the entry of one layer');
  }
  expect('key', parsed.output[KEY], wanted.key);
  expect('media type', descriptor.mediaType, wanted.mediaType);

  const { digest, size } = descriptor;
  const diffId = parsed.output[DIFF_ID];
  const tarSize = parsed.output[TAR_SIZE];
  const blob = { digest, size, diffId, tarSize };
  const stated = parsed.output[AUTHENTICATION] ?? '';
  return {
    blob,
    descriptor: { mediaType: wanted.mediaType, digest, size },
    isAuthentic: secret !== undefined && isSame(stated, authenticationOf(wanted, blob, secret)),
  };
}

/** Compares in a time that does not depend on the texts. */
function isSame(stated: string, computed: string): boolean {
  return (
    stated.length === computed.length && timingSafeEqual(Buffer.from(stated), Buffer.from(computed))
  );
}

/** Returns the time in milliseconds at which an entry was made; undefined if it states none. */
export function createdOf({ annotations = {} }: Manifest): number | undefined {
  const stated = new Map(Object.entries(annotations)).get(CREATED);
  const time = Date.parse(stated ?? '');
  return Number.isNaN(time) ? undefined : time;
}

/** Covers all of an entry but its time, so that nothing of it fits another entry. */
function authenticationOf(
  { key, mediaType }: WantedBlob,
  { digest, size, diffId, tarSize }: BlobResult,
  secret: Uint8Array,
): string {
  const covered = canonicalJson({ key, mediaType, digest, size, diffId, tarSize });
  return createHmac('sha256', secret)
    .update(`${CACHED_LAYER_TYPE}\n`)
    .update(covered)
    .digest('hex');
}

function expect(what: string, actual: string, wanted: string): void {
  if (actual !== wanted) {
    throw new OstrataError('CORRUPT', `its ${what} is ${actual}, expected ${wanted}`);
  }
}
