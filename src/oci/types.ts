/**
 * Image manifest, config and index: https://github.com/opencontainers/image-spec (v1.1.0). Those of
 * Docker (version 2 schema 2) differ in their media types only. Parsing drops unknown members.
 */
import * as v from 'valibot';
import { parseJson } from '../bytes/json.js';
import { decodeUtf8 } from '../bytes/text.js';
import { inContext, OstrataError } from '../errors.js';
import {
  CONFIG_MEDIA_TYPES,
  INDEX_MEDIA_TYPES,
  layerCompression,
  MANIFEST_MEDIA_TYPES,
} from './media-types.js';

/** Limit for manifests, configs and indexes: more than any registry accepts (4 MiB). */
export const MAX_JSON_SIZE = 8 << 20;
/** Limit for the layers of an image: twice as many as overlayfs can stack with any option. */
const MAX_LAYERS = 1024;
/**
 * Limit for the manifests of an index, which may have some hundred platforms and their
 * attestations.
 */
export const MAX_MANIFESTS = 4096;

/** A digest, `sha256:HEX`. */
export const digestSchema = v.pipe(
  v.string(),
  v.regex(/^sha256:[0-9a-f]{64}$/, 'expected sha256: and 64 hex digits'),
);
/** A number of bytes. */
export const sizeSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const annotations = v.record(v.string(), v.string());

const platform = v.object({
  architecture: v.string(),
  os: v.string(),
  variant: v.optional(v.string()),
  'os.version': v.optional(v.string()),
  'os.features': v.optional(v.array(v.string())),
});

const descriptor = v.object({
  mediaType: v.string(),
  digest: digestSchema,
  size: sizeSchema,
  artifactType: v.optional(v.string()),
  annotations: v.optional(annotations),
  platform: v.optional(platform),
  urls: v.optional(v.array(v.string())),
});

// A document must not be both a manifest and an index: one program would read it as a manifest and
// another one as an index, although both verified the same digest.
const manifest = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.picklist(MANIFEST_MEDIA_TYPES)),
  artifactType: v.optional(v.string()),
  config: descriptor,
  layers: v.pipe(v.array(descriptor), v.maxLength(MAX_LAYERS)),
  subject: v.optional(descriptor),
  annotations: v.optional(annotations),
  manifests: v.optional(v.never('a manifest cannot have this member of an index')),
});
const index = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.picklist(INDEX_MEDIA_TYPES)),
  manifests: v.pipe(v.array(descriptor), v.maxLength(MAX_MANIFESTS)),
  annotations: v.optional(annotations),
  layers: v.optional(v.never('an index cannot have this member of a manifest')),
});

export const historyEntry = v.object({
  created: v.optional(v.string()),
  author: v.optional(v.string()),
  created_by: v.optional(v.string()),
  comment: v.optional(v.string()),
  empty_layer: v.optional(v.boolean()),
});
// Go writes null for empty maps and lists.
const config = v.object({
  created: v.optional(v.string()),
  architecture: v.string(),
  os: v.string(),
  config: v.nullish(v.looseObject({ Labels: v.nullish(annotations) })),
  rootfs: v.object({ type: v.literal('layers'), diff_ids: v.array(digestSchema) }),
  history: v.nullish(v.array(historyEntry)),
});

export type Descriptor = v.InferOutput<typeof descriptor>;
export type Manifest = v.InferOutput<typeof manifest>;
export type ImageIndex = v.InferOutput<typeof index>;
export type ImageConfig = v.InferOutput<typeof config>;
export type HistoryEntry = v.InferOutput<typeof historyEntry>;
export type Platform = v.InferOutput<typeof platform>;

/**
 * Parses an image manifest. Throws `CORRUPT` if it is malformed. Throws `UNSUPPORTED` if its config
 * is not that of an image, or if a layer has an unknown media type or is to be fetched from another
 * server.
 */
export function parseManifest(bytes: Uint8Array): Manifest {
  const parsed = parse(bytes, 'manifest', manifest);
  if (!CONFIG_MEDIA_TYPES.includes(parsed.config.mediaType)) {
    throw unsupported(`its config is of media type ${parsed.config.mediaType}`);
  }
  for (const [i, { mediaType, urls }] of parsed.layers.entries()) {
    if (layerCompression(mediaType) === undefined) {
      throw unsupported(`layer ${i} is of media type ${mediaType}`);
    }
    if (urls?.length) {
      throw unsupported(`layer ${i} is to be fetched from elsewhere (urls)`);
    }
  }
  return parsed;
}

/**
 * Parses the manifest of an artifact, whose config and layers are not those of an image. Throws
 * `CORRUPT` if it is malformed, and `UNSUPPORTED` if it is of another type.
 */
export function parseArtifact(bytes: Uint8Array, artifactType: string): Manifest {
  const parsed = parse(bytes, 'manifest', manifest);
  const actual = parsed.artifactType ?? parsed.config.mediaType;
  if (actual !== artifactType) {
    throw unsupported(`it is of the type ${actual}, expected ${artifactType}`);
  }
  return parsed;
}

/** Parses a manifest, of an image or of any artifact. Throws `CORRUPT` if it is malformed. */
export function parseAnyManifest(bytes: Uint8Array): Manifest {
  return parse(bytes, 'manifest', manifest);
}

/** Parses an image index. Throws `CORRUPT` if it is malformed. */
export function parseIndex(bytes: Uint8Array): ImageIndex {
  return parse(bytes, 'index', index);
}

/** Parses an image config. Throws `CORRUPT` if it is malformed. */
export function parseConfig(bytes: Uint8Array): ImageConfig {
  return parse(bytes, 'config', config);
}

function unsupported(rule: string): OstrataError {
  return new OstrataError('UNSUPPORTED', `image manifest: ${rule}`);
}

function parse<T extends v.GenericSchema>(
  bytes: Uint8Array,
  kind: string,
  schema: T,
): v.InferOutput<T> {
  if (bytes.length > MAX_JSON_SIZE) {
    throw new OstrataError(
      'LIMIT',
      `image ${kind} of ${bytes.length} bytes, at most ${MAX_JSON_SIZE}`,
    );
  }
  return inContext(`image ${kind}`, () => parseJson(decodeUtf8(bytes) ?? '', schema));
}
