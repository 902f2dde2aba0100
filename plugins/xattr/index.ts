/**
 * Content source `xattr`: whoever builds the tree names components with extended attributes, as rpm-ostree and chunkah
 * read them.
 *
 *   user.component        name of the component; inherited from directories, overridable below; an exclusive layer
 *   user.update-interval  days between updates, or daily ... yearly; beside user.component, not inherited
 */
import { decodeUtf8 } from '../../src/bytes/text.js';
import type {
  Claims,
  ComponentFacts,
  ContentSource,
  FileEntry,
  FileMap,
  Logger,
} from '../../src/plugin.js';

const COMPONENT = 'user.component';
const UPDATE_INTERVAL = 'user.update-interval';
const INTERVALS: ReadonlyMap<string, number> = new Map([
  ['daily', 1],
  ['weekly', 7],
  ['biweekly', 14],
  ['monthly', 30],
  ['quarterly', 91],
  ['yearly', 365],
]);
/** A name is put into annotations and tables, separated by commas. */
const NAME = /^[^,\p{Cc}]{1,255}$/u;

export const xattr: ContentSource = {
  name: 'xattr',
  priority: 10,
  detect: (files) => [...files].some((entry) => entry.xattrs.has(COMPONENT)),
  load: async ({ tree, log }) => claimsOf(tree.files, log),
};

function claimsOf(files: FileMap, log: Logger): Claims {
  const components = new Map<string, ComponentFacts>();
  const owners = new Map<string, string>();
  // Byte order puts every directory before what is in it.
  for (const entry of files) {
    const own = ownName(entry, log);
    const name = own ?? owners.get(entry.path.slice(0, entry.path.lastIndexOf('/')) || '/');
    if (name === undefined) {
      continue;
    }
    owners.set(entry.path, name);
    const id = `component:${name}`;
    const declared = own === undefined ? undefined : updateInterval(entry, log);
    const intervals = [components.get(id)?.updateInterval, declared].filter(
      (days) => days !== undefined,
    );
    const updates = intervals.length > 0 && { updateInterval: Math.min(...intervals) };
    components.set(id, { name, source: id, packages: [], exclusive: true, ...updates });
  }
  return {
    components,
    strong: ({ path }) => {
      const name = owners.get(path);
      return name === undefined ? [] : [`component:${name}`];
    },
  };
}

function ownName(entry: FileEntry, log: Logger): string | undefined {
  const value = text(entry, COMPONENT);
  if (value === undefined) {
    return undefined;
  }
  if (NAME.test(value)) {
    return value;
  }
  log.warn(
    `${entry.path}: ${COMPONENT} ${JSON.stringify(value)} is ignored: not a name of 1 to 255 characters, no comma`,
  );
  return undefined;
}

function updateInterval(entry: FileEntry, log: Logger): number | undefined {
  const value = text(entry, UPDATE_INTERVAL);
  if (value === undefined) {
    return undefined;
  }
  const days = INTERVALS.get(value) ?? (/^\d{1,5}$/.test(value) ? Number(value) : undefined);
  if (days === undefined || days === 0) {
    log.warn(
      `${entry.path}: ${UPDATE_INTERVAL} ${JSON.stringify(value)} is ignored: neither days nor one of ${[...INTERVALS.keys()].join(', ')}`,
    );
  }
  return days || undefined;
}

/** The attribute's text; setfattr and others may leave a NUL at its end. What is not UTF-8 becomes no valid name. */
function text(entry: FileEntry, name: string): string | undefined {
  const value = entry.xattrs.get(name);
  return value && (decodeUtf8(value)?.replace(/\0$/, '') ?? '\0');
}
