/** Options of commands that write layers: the caches of layer blobs, on the disk and shared. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BlobCache } from '../../blobs/cache.js';
import { type CacheRepository, SharedCache } from '../../blobs/shared-cache.js';
import { inContext, messageOf, OstrataError } from '../../errors.js';
import type { Context, Logger } from '../../log.js';
import { checkIsRepository, openArtifactRepository } from '../../transports/image-reference.js';
import type { ArtifactRights, TransportOptions } from '../../transports/transport.js';
import { repeated } from './values.js';

/** Room for several builds of several large systems: 1 GB each, and what later builds change. */
const DEFAULT_SIZE = '10G';
/** A build can do without a shared cache: it does not wait for one as for its destination. */
const PATIENCE = { retries: 1, stallTimeoutMs: 20_000 };
const MIN_SECRET_SIZE = 16;
const MAX_SECRET_SIZE = 4096;
const UNITS = new Map([
  ['', 1],
  ['k', 1e3],
  ['M', 1e6],
  ['G', 1e9],
  ['T', 1e12],
]);

export interface CacheOptions {
  /** The cache's folder; false for no cache, undefined for the default folder. */
  readonly cache?: string | false | undefined;
  /** Bytes. */
  readonly cacheSize: number;
}

export interface SharedCacheOptions extends CacheOptions {
  /** References of repositories. */
  readonly cacheFrom?: readonly string[] | undefined;
  readonly cacheTo?: string | undefined;
  /** Path of a file. */
  readonly cacheSecret?: string | undefined;
}

/** `--cache`, `--no-cache` and `--cache-size`: the cache on the disk. */
export function cacheOptions(command: Command): Command {
  return command
    .optionsGroup('Cache:')
    .option(
      '--cache <dir>',
      'keep layers in this folder and reuse them in later builds ' +
        '(default: $XDG_CACHE_HOME/ostrata or ~/.cache/ostrata)',
    )
    .option(
      '--no-cache',
      'do not use the cache; write every layer that the previous build does not have',
    )
    .addOption(
      new Option(
        '--cache-size <bytes>',
        'largest size of the cache; above it, the least recently used layers are removed ' +
          '(suffix k, M, G or T)',
      )
        .argParser(byteCount)
        .default(byteCount(DEFAULT_SIZE), DEFAULT_SIZE),
    );
}

/** Those of {@link cacheOptions}, and `--cache-from`, `--cache-to` and `--cache-secret`. */
export function sharedCacheOptions(command: Command): Command {
  return cacheOptions(command)
    .option(
      '--cache-from <imgref>',
      'also look for layers in this repository of a registry, registry:HOST/PATH, where other ' +
        'machines have put them; each is checked against the files that it stands for (repeatable)',
      repeated,
    )
    .option(
      '--cache-to <imgref>',
      'put new layers, and those of the cache on this disk, into this repository of a registry',
    )
    .option(
      '--cache-secret <file>',
      'the secret in this file authenticates the layers of --cache-to; layers of --cache-from ' +
        'that it authenticates are used without a check, and without a download where the ' +
        'registry can mount them into the repository of the image',
    );
}

/** Returns the repositories that the options name. Throws `USAGE` for what is no repository. */
export function cacheRepositories({
  cacheFrom = [],
  cacheTo,
}: Pick<SharedCacheOptions, 'cacheFrom' | 'cacheTo'>): readonly string[] {
  const repositories = cacheTo === undefined ? cacheFrom : [...cacheFrom, cacheTo];
  for (const imgref of repositories) {
    checkIsRepository(imgref);
  }
  return repositories;
}

/**
 * Returns the shared cache that the options name, which connects to registries when it is used;
 * undefined without.
 */
export function openSharedCache(
  { cacheFrom = [], cacheTo, cacheSecret }: SharedCacheOptions,
  optionsFor: (imgref: string) => TransportOptions,
  context: Context,
): SharedCache | undefined {
  const secret = cacheSecret === undefined ? undefined : readSecret(cacheSecret);
  if (cacheFrom.length === 0 && cacheTo === undefined) {
    return undefined;
  }
  const place = (imgref: string, rights: ArtifactRights): CacheRepository => ({
    name: imgref,
    open: () => openArtifactRepository(imgref, { ...optionsFor(imgref), ...PATIENCE }, rights),
  });
  return new SharedCache({
    from: cacheFrom.map((imgref) => place(imgref, 'pull')),
    to: cacheTo === undefined ? undefined : place(cacheTo, 'pull,push'),
    secret,
    ...context,
  });
}

/** White space at the end is left out: an editor or `echo` adds it. */
function readSecret(path: string): Uint8Array {
  return inContext(`option --cache-secret: ${path}`, () => {
    const text = readFileSync(path, 'latin1');
    const secret = text.trimEnd();
    if (secret.length < MIN_SECRET_SIZE || secret.length > MAX_SECRET_SIZE) {
      const rule = `expected ${MIN_SECRET_SIZE} to ${MAX_SECRET_SIZE} bytes`;
      throw new OstrataError(
        'USAGE',
        `${rule}, got ${text.length}; \`openssl rand -hex 32\` prints a secret`,
      );
    }
    return Buffer.from(secret, 'latin1');
  });
}

function byteCount(text: string): number {
  const [, digits, suffix = ''] = /^(\d{1,6}(?:\.\d{1,3})?|\d{1,15})([kMGT]?)$/.exec(text) ?? [];
  const unit = UNITS.get(suffix);
  if (digits === undefined || unit === undefined) {
    throw new InvalidArgumentError('expected a number of bytes such as 500M or 10G.');
  }
  return Math.round(Number(digits) * unit);
}

/**
 * Opens the cache that the options name. Returns undefined with `--no-cache`, and after a warning
 * where the default folder cannot be used.
 */
export function openCache({ cache, cacheSize }: CacheOptions, log: Logger): BlobCache | undefined {
  if (cache === false) {
    return undefined;
  }
  if (cache !== undefined) {
    return new BlobCache(cache, cacheSize, log);
  }
  try {
    return new BlobCache(defaultCacheDirectory(), cacheSize, log);
  } catch (error) {
    log.warn(`${messageOf(error)}; layers are not kept for the next build`);
    return undefined;
  }
}

/**
 * Returns the cache's folder unless an option names one. To ignore relative paths is what
 * https://specifications.freedesktop.org/basedir-spec/latest/ says.
 */
export function defaultCacheDirectory(): string {
  const { XDG_CACHE_HOME: base = '' } = process.env;
  return join(isAbsolute(base) ? base : join(homedir(), '.cache'), 'ostrata');
}
