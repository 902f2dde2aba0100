/**
 * The config that an image is built with, in any form in which tools print one: the config of an
 * OCI image, its `config` member alone, or what `podman inspect` and `docker inspect` print.
 */
import * as v from 'valibot';
import { parseJson } from '../bytes/json.js';
import { decodeUtf8 } from '../bytes/text.js';
import { inContext, OstrataError } from '../errors.js';
import type { ImageReader } from './image.js';

/** What an image says about itself, without its layers. */
export interface BaseConfig {
  /** Env, Cmd, User, Healthcheck and so on, without labels; unknown members are kept. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** GOARCH. */
  readonly architecture?: string | undefined;
  readonly variant?: string | undefined;
  /** Seconds since 1970. */
  readonly created?: number | undefined;
}

const strings = v.record(v.string(), v.string());
const stringList = v.nullish(v.array(v.string()));
/** https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md */
const members = v.looseObject({
  Labels: v.nullish(strings),
  Cmd: stringList,
  Entrypoint: stringList,
  Env: stringList,
});
const ociConfig = v.looseObject({
  config: v.nullish(members),
  architecture: v.optional(v.string()),
  variant: v.optional(v.string()),
  created: v.optional(v.string()),
});
const inspected = v.looseObject({
  Config: v.nullish(members),
  Annotations: v.nullish(strings),
  Architecture: v.optional(v.string()),
  Variant: v.optional(v.string()),
  Created: v.optional(v.string()),
  Healthcheck: v.optional(v.unknown()),
});

/**
 * Parses a config. Of an array, as `inspect` prints it, the last element counts. Throws `CORRUPT`
 * if it is no JSON or has none of the known forms.
 */
export function parseBaseConfig(text: string): BaseConfig {
  const json = parseJson(text, v.unknown());
  const value: unknown = Array.isArray(json) ? json.at(-1) : json;
  if (typeof value !== 'object' || value === null) {
    throw new OstrataError('CORRUPT', 'expected an object, or an array whose last element is one');
  }

  const again = JSON.stringify(value);
  if ('Config' in value) {
    const found = parseJson(again, inspected);
    // podman prints it beside the config.
    const healthcheck = found.Healthcheck === undefined ? {} : { Healthcheck: found.Healthcheck };
    return baseConfig({ ...healthcheck, ...found.Config }, found.Annotations, {
      architecture: found.Architecture,
      variant: found.Variant,
      created: found.Created,
    });
  }
  if ('config' in value || 'rootfs' in value) {
    const found = parseJson(again, ociConfig);
    return baseConfig(found.config, undefined, found);
  }
  return baseConfig(parseJson(again, members), undefined, {});
}

/** Returns what an image says about itself. */
export async function baseConfigOfImage(image: ImageReader): Promise<BaseConfig> {
  const text = decodeUtf8(await image.config());
  return inContext(`reading ${image.name}: config`, () => {
    if (text === undefined) {
      throw new OstrataError('CORRUPT', 'is not UTF-8');
    }
    return { ...parseBaseConfig(text), annotations: image.manifest.annotations ?? {} };
  });
}

interface Facts {
  readonly architecture?: string | undefined;
  readonly variant?: string | undefined;
  readonly created?: string | undefined;
}

function baseConfig(
  config: v.InferOutput<typeof members> | null | undefined,
  annotations: Readonly<Record<string, string>> | null | undefined,
  { architecture, variant, created }: Facts,
): BaseConfig {
  const { Labels, ...others } = config ?? {};
  return {
    config: others,
    labels: Labels ?? {},
    annotations: annotations ?? {},
    architecture: architecture || undefined,
    variant: variant || undefined,
    created: created === undefined ? undefined : secondsOf(created),
  };
}

/** Parses an RFC 3339 time. */
function secondsOf(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) {
    throw new OstrataError('CORRUPT', `created: ${JSON.stringify(text)} is not a time (RFC 3339)`);
  }
  return Math.max(0, Math.floor(time / 1000));
}
