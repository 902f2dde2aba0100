/**
 * Image manifest, config and index: https://github.com/opencontainers/image-spec (v1.1.0), and the same of Docker
 * (version 2 schema 2), which differ in media types only. Parsed, unknown members are kept out.
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

/** More than any registry accepts (4 MiB); also for configs and indexes. */
export const MAX_JSON_SIZE = 8 << 20;
/** Twice what overlayfs can stack with any option. */
const MAX_LAYERS = 1024;
/** Images of an index: some hundred platforms and their attestations. */
const MAX_MANIFESTS = 4096;

const digest = v.pipe(
  v.string(),
  v.regex(/^sha256:[0-9a-f]{64}$/, 'expected sha256: and 64 hex digits'),
);
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const annotations = v.record(v.string(), v.string());

const platform = v.object({
  architecture: v.string(),
  os: v.string(),
  variant: v.optional(v.string()),
});
const descriptor = v.object({
  mediaType: v.string(),
  digest,
  size,
  annotations: v.optional(annotations),
  platform: v.optional(platform),
  urls: v.optional(v.array(v.string())),
});
const manifest = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.picklist(MANIFEST_MEDIA_TYPES)),
  config: descriptor,
  layers: v.pipe(v.array(descriptor), v.maxLength(MAX_LAYERS)),
  annotations: v.optional(annotations),
  // A document that is both would be read as one by some and as the other by others.
  manifests: v.optional(v.never('a manifest is no index')),
});
const index = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.picklist(INDEX_MEDIA_TYPES)),
  manifests: v.pipe(v.array(descriptor), v.maxLength(MAX_MANIFESTS)),
  layers: v.optional(v.never('an index is no manifest')),
});
const nullable = <T extends v.GenericSchema>(schema: T) => v.nullish(schema);
const config = v.object({
  created: v.optional(v.string()),
  architecture: v.string(),
  os: v.string(),
  config: nullable(v.looseObject({ Labels: nullable(annotations) })),
  rootfs: v.object({ type: v.literal('layers'), diff_ids: v.array(digest) }),
  history: nullable(
    v.array(
      v.object({
        created: v.optional(v.string()),
        created_by: v.optional(v.string()),
        comment: v.optional(v.string()),
        empty_layer: v.optional(v.boolean()),
      }),
    ),
  ),
});

export type Descriptor = v.InferOutput<typeof descriptor>;
export type Manifest = v.InferOutput<typeof manifest>;
export type ImageIndex = v.InferOutput<typeof index>;
export type ImageConfig = v.InferOutput<typeof config>;
export type Platform = v.InferOutput<typeof platform>;

/** Also throws `UNSUPPORTED` for what is no image of layers that are read from where the image is. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const parsed = parse(bytes, 'manifest', manifest);
  if (!CONFIG_MEDIA_TYPES.includes(parsed.config.mediaType)) {
    throw new OstrataError(
      'UNSUPPORTED',
      `image manifest: its config is of media type ${parsed.config.mediaType}`,
    );
  }
  for (const [i, { mediaType, urls }] of parsed.layers.entries()) {
    if (layerCompression(mediaType) === undefined) {
      throw new OstrataError(
        'UNSUPPORTED',
        `image manifest: layer ${i} is of media type ${mediaType}`,
      );
    }
    if (urls?.length) {
      throw new OstrataError(
        'UNSUPPORTED',
        `image manifest: layer ${i} is to be fetched from elsewhere (urls)`,
      );
    }
  }
  return parsed;
}
export const parseIndex = (bytes: Uint8Array) => parse(bytes, 'index', index);
export const parseConfig = (bytes: Uint8Array) => parse(bytes, 'config', config);

function parse<T extends v.GenericSchema>(
  bytes: Uint8Array,
  what: string,
  schema: T,
): v.InferOutput<T> {
  if (bytes.length > MAX_JSON_SIZE) {
    throw new OstrataError(
      'LIMIT',
      `image ${what} of ${bytes.length} bytes, at most ${MAX_JSON_SIZE}`,
    );
  }
  return inContext(`image ${what}`, () => parseJson(decodeUtf8(bytes) ?? '', schema));
}
