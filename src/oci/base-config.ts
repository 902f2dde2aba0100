/**
 * The config that an image is built with, in any form in which tools print one: the config of an
 * OCI image, its `config` member alone, or what `podman inspect` and `docker inspect` print.
 */
import * as v from 'valibot';
import { parseJson } from '../bytes/json.js';
import { decodeUtf8 } from '../bytes/text.js';
import { inContext, OstrataError } from '../errors.js';
import { historyOfImage } from './history.js';
import type { ImageReader } from './image.js';
import { type HistoryEntry, historyEntry, parseConfig } from './types.js';

/** What an image says about itself, without its layers. */
export interface BaseConfig {
  /** Env, Cmd, User, Healthcheck and so on, without labels; unknown members are kept. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** GOARCH. */
  readonly architecture?: string | undefined;
  readonly variant?: string | undefined;
  /** GOOS. */
  readonly os?: string | undefined;
  readonly osVersion?: string | undefined;
  readonly osFeatures?: readonly string[] | undefined;
  /** Who is responsible for the image. */
  readonly author?: string | undefined;
  /** Seconds since 1970. */
  readonly created?: number | undefined;
  /** How the content of the image came about, without what is said about its present layers. */
  readonly history: readonly HistoryEntry[];
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
  os: v.optional(v.string()),
  'os.version': v.optional(v.string()),
  'os.features': stringList,
  author: v.optional(v.string()),
  created: v.optional(v.string()),
  history: v.nullish(v.array(historyEntry)),
});
const inspected = v.looseObject({
  Config: v.nullish(members),
  Annotations: v.nullish(strings),
  Architecture: v.optional(v.string()),
  Variant: v.optional(v.string()),
  Os: v.optional(v.string()),
  OsVersion: v.optional(v.string()),
  Author: v.optional(v.string()),
  Created: v.optional(v.string()),
  History: v.nullish(v.array(historyEntry)),
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
      os: found.Os,
      osVersion: found.OsVersion,
      author: found.Author,
      created: found.Created,
      history: found.History,
    });
  }
  if ('config' in value || 'rootfs' in value) {
    const found = parseJson(again, ociConfig);
    const osVersion = found['os.version'];
    const osFeatures = found['os.features'];
    return baseConfig(found.config, undefined, { ...found, osVersion, osFeatures });
  }
  return baseConfig(parseJson(again, members), undefined, {});
}

/** Returns what an image says about itself. */
export async function baseConfigOfImage(image: ImageReader): Promise<BaseConfig> {
  const bytes = await image.config();
  const text = decodeUtf8(bytes);
  return inContext(`reading ${image.name}: config`, () => {
    if (text === undefined) {
      throw new OstrataError('CORRUPT', 'is not UTF-8');
    }
    return {
      ...parseBaseConfig(text),
      annotations: image.manifest.annotations ?? {},
      history: historyOfImage(image.manifest, parseConfig(bytes)),
    };
  });
}

/** What the forms of a config state besides the config of containers. */
interface Facts {
  readonly architecture?: string | undefined;
  readonly variant?: string | undefined;
  readonly os?: string | undefined;
  readonly osVersion?: string | undefined;
  readonly osFeatures?: readonly string[] | null | undefined;
  readonly author?: string | undefined;
  readonly created?: string | undefined;
  readonly history?: readonly HistoryEntry[] | null | undefined;
}

function baseConfig(
  config: v.InferOutput<typeof members> | null | undefined,
  annotations: Readonly<Record<string, string>> | null | undefined,
  facts: Facts,
): BaseConfig {
  const { Labels, ...others } = config ?? {};
  return {
    config: others,
    labels: Labels ?? {},
    annotations: annotations ?? {},
    // Tools print an empty text where nothing is stated.
    architecture: facts.architecture || undefined,
    variant: facts.variant || undefined,
    os: facts.os || undefined,
    osVersion: facts.osVersion || undefined,
    osFeatures: facts.osFeatures ?? undefined,
    author: facts.author || undefined,
    created: facts.created === undefined ? undefined : secondsOf(facts.created),
    history: facts.history ?? [],
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
