/**
 * A repository's `config`, ostree.repo-config(5). Of its group `core`: `repo_version` (1), `mode`, `parent` (a repository
 * that also holds objects and refs), `fsync`, `min-free-space-percent` and `-size`; of `archive`: `zlib-level`.
 */
import { OstrataError } from '../errors.js';
import { parseKeyFile } from './keyfile.js';

const MODES = ['archive', 'bare', 'bare-user', 'bare-user-only', 'bare-split-xattrs'] as const;
export type RepoMode = (typeof MODES)[number];

export interface RepoConfig {
  readonly mode: RepoMode;
  readonly parent?: string | undefined;
  /** Whether what is written must be on the disk before it counts; true by default. */
  readonly fsync: boolean;
  /** What must stay free on the file system: bytes, or a part of it from 0 to 1. */
  readonly minFree: { readonly bytes: number } | { readonly part: number };
  /** 1 to 9, of content in an archive repository. */
  readonly zlibLevel: number;
}

/** Defaults of libostree. */
const MIN_FREE_PERCENT = 3;
const ZLIB_LEVEL = 6;
const UNITS: Readonly<Record<string, number>> = { M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

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
  const parent = core.get('parent');
  const minSize = core.get('min-free-space-size');
  const percent = integer(
    core.get('min-free-space-percent'),
    'min-free-space-percent',
    MIN_FREE_PERCENT,
    99,
  );
  return {
    mode: parseMode(core.get('mode') ?? 'bare'),
    ...(parent && { parent }),
    fsync: core.get('fsync') !== 'false',
    minFree: minSize === undefined ? { part: percent / 100 } : { bytes: parseSize(minSize) },
    zlibLevel: integer(file.get('archive')?.get('zlib-level'), 'zlib-level', ZLIB_LEVEL, 9),
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

function integer(text: string | undefined, key: string, fallback: number, highest: number): number {
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
  const [, digits, unit = ''] = /^([0-9]+)([MGT])B$/.exec(text) ?? [];
  if (digits === undefined) {
    throw new OstrataError(
      'CORRUPT',
      `config has min-free-space-size=${text}, expected a number with MB, GB or TB`,
    );
  }
  return Number(digits) * (UNITS[unit] as number);
}
