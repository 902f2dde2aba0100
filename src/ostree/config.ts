/**
 * A repository's `config`: a GKeyFile (https://docs.gtk.org/glib/struct.KeyFile.html); of its group `core`:
 * `repo_version` (1), `mode` (ostree.repo-config(5)) and `parent` (a repository that also holds objects and refs).
 */
import { OstrataError } from '../errors.js';

const MODES = ['archive', 'bare', 'bare-user', 'bare-user-only', 'bare-split-xattrs'] as const;
export type RepoMode = (typeof MODES)[number];

export interface RepoConfig {
  readonly mode: RepoMode;
  readonly parent?: string;
}

export function parseConfig(text: string): RepoConfig {
  const core = new Map<string, string>();
  let group = '';
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[') && line.endsWith(']')) {
      group = line.slice(1, -1);
      continue;
    }
    const equals = line.indexOf('=');
    if (equals < 0) throw new OstrataError('CORRUPT', `config line ${JSON.stringify(line)} is no key=value`);
    if (group === 'core') core.set(line.slice(0, equals).trimEnd(), line.slice(equals + 1).trimStart());
  }
  const version = core.get('repo_version');
  if (version !== '1')
    throw new OstrataError('UNSUPPORTED', `config has repo_version ${JSON.stringify(version ?? '')}, expected "1"`);
  const parent = core.get('parent');
  return { mode: parseMode(core.get('mode') ?? 'bare'), ...(parent && { parent }) };
}

function parseMode(text: string): RepoMode {
  const name = text === 'archive-z2' ? 'archive' : text;
  const mode = MODES.find((each) => each === name);
  if (mode === undefined)
    throw new OstrataError('UNSUPPORTED', `repository mode ${JSON.stringify(text)}, known are ${MODES.join(', ')}`);
  return mode;
}
