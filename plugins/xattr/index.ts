/**
 * Content source `xattr`: whoever builds the tree names components with extended attributes, in the
 * form that rpm-ostree and chunkah read.
 *
 *   user.component        name of the component, which gets a layer to itself; directories pass it
 *                         on to their content, which may override it
 *   user.update-interval  days between updates, or daily ... yearly; only beside user.component,
 *                         not passed on
 */
import {
  type Claims,
  type ComponentFacts,
  type ContentSource,
  decodeUtf8,
  type FileEntry,
  type FileMap,
  type Logger,
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
const DAYS = /^\d{1,5}$/;
/** Annotations and tables list names separated by commas. */
const NAME = /^[^,\p{Cc}]{1,255}$/u;
/** Stands for a value that is not UTF-8; neither a name nor an interval. */
const NOT_TEXT = '\0';

export const xattr: ContentSource = {
  name: 'xattr',
  priority: 10,
  detect: (files) => [...files].some((entry) => entry.xattrs.has(COMPONENT)),
  load: async ({ tree, log }) => claimsOf(tree.files, log),
};

function claimsOf(files: FileMap, log: Logger): Claims {
  const components = new Map<string, ComponentFacts>();
  const nameByPath = new Map<string, string>();
  // Entries come in byte order, so that every directory precedes its content.
  for (const entry of files) {
    const declared = declaredName(entry, log);
    const name = declared ?? nameByPath.get(parentOf(entry.path));
    if (name === undefined) {
      continue;
    }
    nameByPath.set(entry.path, name);
    const id = idOf(name);
    const interval = declared === undefined ? undefined : declaredInterval(entry, log);
    const updateInterval = shorter(components.get(id)?.updateInterval, interval);
    components.set(id, factsOf(name, updateInterval));
  }

  return {
    components,
    strong({ path }) {
      const name = nameByPath.get(path);
      return name === undefined ? [] : [idOf(name)];
    },
  };
}

function idOf(name: string): string {
  return `component:${name}`;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function factsOf(name: string, updateInterval: number | undefined): ComponentFacts {
  const facts = { name, source: idOf(name), packages: [], exclusive: true };
  return updateInterval === undefined ? facts : { ...facts, updateInterval };
}

function shorter(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

function declaredName(entry: FileEntry, log: Logger): string | undefined {
  const value = attributeText(entry, COMPONENT);
  if (value === undefined || NAME.test(value)) {
    return value;
  }
  log.warn(
    `${entry.path}: ${COMPONENT} ${JSON.stringify(value)} is ignored: ` +
      'a name has 1 to 255 characters and no comma',
  );
  return undefined;
}

function declaredInterval(entry: FileEntry, log: Logger): number | undefined {
  const value = attributeText(entry, UPDATE_INTERVAL);
  if (value === undefined) {
    return undefined;
  }
  const days = INTERVALS.get(value) ?? (DAYS.test(value) ? Number(value) : 0);
  if (days > 0) {
    return days;
  }
  log.warn(
    `${entry.path}: ${UPDATE_INTERVAL} ${JSON.stringify(value)} is ignored: ` +
      `neither days nor one of ${[...INTERVALS.keys()].join(', ')}`,
  );
  return undefined;
}

/** The attribute as text, without the NUL that setfattr and others may leave at its end. */
function attributeText(entry: FileEntry, name: string): string | undefined {
  const value = entry.xattrs.get(name);
  if (value === undefined) {
    return undefined;
  }
  return decodeUtf8(value)?.replace(/\0$/, '') ?? NOT_TEXT;
}
