/** GKeyFile, the form of a repository's `config` and of `remotes.d/*.conf`: https://docs.gtk.org/glib/struct.KeyFile.html */
import { OstrataError } from '../errors.js';

/** Groups by name, each with its keys; of a key or group given twice the last value counts, as in GLib. */
export type KeyFile = ReadonlyMap<string, ReadonlyMap<string, string>>;

export function parseKeyFile(text: string): KeyFile {
  const groups = new Map<string, Map<string, string>>();
  // Keys before the first group belong to none.
  let group = '';
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) {
      continue;
    }
    if (line.startsWith('[') && line.endsWith(']')) {
      group = line.slice(1, -1);
      if (!groups.has(group)) {
        groups.set(group, new Map());
      }
      continue;
    }
    const equals = line.indexOf('=');
    if (equals < 0) {
      throw new OstrataError('CORRUPT', `config line ${JSON.stringify(line)} is no key=value`);
    }
    groups.get(group)?.set(line.slice(0, equals).trimEnd(), line.slice(equals + 1).trimStart());
  }
  return groups;
}
