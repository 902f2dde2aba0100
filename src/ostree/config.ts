/**
 * The file `config` of a repository, ostree.repo-config(5). These keys are read, from the group
 * `core`: `repo_version` (1), `mode`, `parent` (a repository that is searched for missing objects
 * and refs), `fsync`, `min-free-space-percent` and `min-free-space-size`; from `archive`:
 * `zlib-level`.
 */
import { OstrataError } from '../errors.js';
import { parseKeyFile } from './keyfile.js';

const MODES = ['archive', 'bare', 'bare-user', 'bare-user-only', 'bare-split-xattrs'] as const;
export type RepoMode = (typeof MODES)[number];

export interface RepoConfig {
  readonly mode: RepoMode;
  /** Path of the parent repository, absolute or relative to this one. */
  readonly parent?: string | undefined;
  /** Whether objects must be on the disk before they are published, and before a ref names them. */
  readonly fsync: boolean;
  /** What must stay free on the file system: bytes, or a part of its size from 0 to 1. */
  readonly minFree: { readonly bytes: number } | { readonly part: number };
  /** Compression level of content in an archive repository, 0 to 9. */
  readonly zlibLevel: number;
}

/** Defaults of libostree. */
const MIN_FREE_PERCENT = 3;
const ZLIB_LEVEL = 6;

/** Bytes of the units of `min-free-space-size`. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ['MB', 2 ** 20],
  ['GB', 2 ** 30],
  ['TB', 2 ** 40],
]);

/**
 * Parses the text of a `config`. Throws `UNSUPPORTED` for unknown versions and modes, and `CORRUPT`
 * for invalid values.
 */
export function parseConfig(text: string): RepoConfig {
  const file = parseKeyFile(text);
  const core = file.get('core') ?? new Map<string, string>();
  const version = core.get('repo_version');
  if (version !== '1') {
    throw new OstrataError(
      'UNSUPPORTED',
      `config has repo_version ${JSON.stringify(version ?? '')}, expected "1"`,
    );
  }

  return {
    mode: parseMode(core.get('mode') ?? 'bare'),
    parent: core.get('parent') || undefined,
    fsync: core.get('fsync') !== 'false',
    minFree: parseMinFree(core),
    zlibLevel: parseInteger(file.get('archive'), 'zlib-level', ZLIB_LEVEL, 9),
  };
}

function parseMode(text: string): RepoMode {
  const name = text === 'archive-z2' ? 'archive' : text;
  const mode = MODES.find((each) => each === name);
  if (mode === undefined) {
    throw new OstrataError(
      'UNSUPPORTED',
      `repository mode ${JSON.stringify(text)}, known are ${MODES.join(', ')}`,
    );
  }
  return mode;
}

function parseMinFree(core: ReadonlyMap<string, string>): RepoConfig['minFree'] {
  const percent = parseInteger(core, 'min-free-space-percent', MIN_FREE_PERCENT, 99);
  const size = core.get('min-free-space-size');
  return size === undefined ? { part: percent / 100 } : { bytes: parseSize(size) };
}

function parseInteger(
  group: ReadonlyMap<string, string> | undefined,
  key: string,
  fallback: number,
  highest: number,
): number {
  const text = group?.get(key);
  if (text === undefined) {
    return fallback;
  }
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value > highest) {
    throw new OstrataError('CORRUPT', `config has ${key}=${text}, expected 0 to ${highest}`);
  }
  return value;
}

function parseSize(text: string): number {
  const [, digits, unitName = ''] = /^([0-9]+)(.*)$/.exec(text) ?? [];
  const unit = UNITS.get(unitName);
  if (digits === undefined || unit === undefined) {
    throw new OstrataError(
      'CORRUPT',
      `config has min-free-space-size=${text}, expected a number with MB, GB or TB`,
    );
  }
  return Number(digits) * unit;
}
