/** Image manifest, config and index: https://github.com/opencontainers/image-spec (v1.1.0). Parsed, unknown members are kept out. */
import * as v from 'valibot';
import { decodeUtf8 } from '../bytes/text.js';
import { OstrataError } from '../errors.js';
import { OCI_MANIFEST } from './media-types.js';

/** More than any registry accepts (4 MiB); also for configs and indexes. */
export const MAX_JSON_SIZE = 8 << 20;
/** Twice what overlayfs can stack with any option. */
const MAX_LAYERS = 1024;

const digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/, 'expected sha256: and 64 hex digits'));
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const annotations = v.record(v.string(), v.string());

const platform = v.object({ architecture: v.string(), os: v.string(), variant: v.optional(v.string()) });
const descriptor = v.object({
  mediaType: v.string(),
  digest,
  size,
  annotations: v.optional(annotations),
  platform: v.optional(platform),
});
const manifest = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.literal(OCI_MANIFEST)),
  config: descriptor,
  layers: v.pipe(v.array(descriptor), v.maxLength(MAX_LAYERS)),
  annotations: v.optional(annotations),
});
const index = v.object({ schemaVersion: v.literal(2), manifests: v.array(descriptor) });
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

export const parseManifest = (bytes: Uint8Array) => parse(bytes, 'manifest', manifest);
export const parseIndex = (bytes: Uint8Array) => parse(bytes, 'index', index);
export const parseConfig = (bytes: Uint8Array) => parse(bytes, 'config', config);

function parse<T extends v.GenericSchema>(bytes: Uint8Array, what: string, schema: T): v.InferOutput<T> {
  if (bytes.length > MAX_JSON_SIZE)
    throw new OstrataError('LIMIT', `image ${what} of ${bytes.length} bytes, at most ${MAX_JSON_SIZE}`);
  let json: unknown;
  try {
    json = JSON.parse(decodeUtf8(bytes) ?? '');
  } catch (cause) {
    throw new OstrataError('CORRUPT', `image ${what} is not JSON`, { cause });
  }
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new OstrataError('CORRUPT', `image ${what}: ${v.getDotPath(issue) ?? 'document'}: ${issue.message}`);
}
