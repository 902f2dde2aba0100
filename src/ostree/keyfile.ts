/**
 * GKeyFile, the format of a repository's `config` and of `remotes.d/*.conf`: groups `[NAME]` of
 * lines `key=value`. Spec: https://docs.gtk.org/glib/struct.KeyFile.html
 */
import { OstrataError } from '../errors.js';

/**
 * Keys and values by group. If a key is given twice, even in two sections of the same name, the
 * last value counts.
 */
type KeyFile = ReadonlyMap<string, ReadonlyMap<string, string>>;

/**
 * Parses a key file; keys before the first group are ignored. Throws `CORRUPT` for a line of any
 * other form.
 */
export function parseKeyFile(text: string): KeyFile {
  const groups = new Map<string, Map<string, string>>();
  let group: Map<string, string> | undefined;
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) {
      continue;
    }

    if (line.startsWith('[') && line.endsWith(']')) {
      const name = line.slice(1, -1);
      group = groups.get(name) ?? new Map<string, string>();
      groups.set(name, group);
      continue;
    }

    const equals = line.indexOf('=');
    if (equals < 0) {
      throw new OstrataError('CORRUPT', `config line ${JSON.stringify(line)} is not key=value`);
    }
    group?.set(line.slice(0, equals).trimEnd(), line.slice(equals + 1).trimStart());
  }
  return groups;
}
