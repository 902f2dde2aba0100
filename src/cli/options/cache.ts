/** Options of commands that write layers: the cache of layer blobs. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BlobCache } from '../../blobs/cache.js';
import { messageOf } from '../../errors.js';
import type { Logger } from '../../log.js';

/** Room for several builds of several large systems: 1 GB each, and what later builds change. */
const DEFAULT_SIZE = '10G';
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

/** `--cache`, `--no-cache` and `--cache-size`. */
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
