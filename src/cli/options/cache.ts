/** Options of commands that write layers: the cache of layer blobs. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BlobCache } from '../../blobs/cache.js';
import type { Logger } from '../../log.js';

/** Several builds of several large systems: 1 GB each, and what changed in the builds after. */
const DEFAULT_SIZE = '10G';
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };

export interface CacheOptions {
  /** False: none; undefined: the default. */
  readonly cache?: string | false | undefined;
  readonly cacheSize: number;
}

export function cacheOptions(command: Command): Command {
  return command
    .option(
      '--cache <dir>',
      'keep layer blobs here, and take those that were made before (default: $XDG_CACHE_HOME/ostrata or ~/.cache/ostrata)',
    )
    .option('--no-cache', 'make all layers anew, keep none')
    .addOption(
      new Option(
        '--cache-size <bytes>',
        'remove what was not used for longest above this (suffix k, M, G or T)',
      )
        .argParser(byteCount)
        .default(byteCount(DEFAULT_SIZE), DEFAULT_SIZE),
    );
}

function byteCount(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,6}(?:\.\d{1,3})?|\d{1,15})([kMGT]?)$/.exec(text) ?? [];
  if (digits === undefined) {
    throw new InvalidArgumentError('expected a number of bytes such as 500M or 10G.');
  }
  return Math.round(Number(digits) * (UNITS[unit] as number));
}

/** Undefined where none is wanted, or where the default place cannot be used, which a warning tells. */
export function openCache({ cache, cacheSize }: CacheOptions, log: Logger): BlobCache | undefined {
  if (cache === false) {
    return undefined;
  }
  if (cache !== undefined) {
    return new BlobCache(cache, cacheSize, log);
  }
  try {
    return new BlobCache(defaultDirectory(), cacheSize, log);
  } catch (error) {
    log.warn(`${(error as Error).message}; layers are not kept for the next build`);
    return undefined;
  }
}

/** https://specifications.freedesktop.org/basedir-spec/latest/: a relative path is to be ignored. */
function defaultDirectory(): string {
  const { XDG_CACHE_HOME: base = '' } = process.env;
  return join(isAbsolute(base) ? base : join(homedir(), '.cache'), 'ostrata');
}
