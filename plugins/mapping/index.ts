/**
 * Content source `mapping`: a file says which component a path belongs to. It is for trees without
 * a package database and without extended attributes, for example if another build system knows
 * what it has installed where. JSON,
 *
 *   {
 *     "version": 1,
 *     "paths": {PATH: NAME, ...},
 *     "components": {NAME: {"updateInterval"?: days, "source"?: string, "exclusive"?: true}, ...}
 *   }
 *
 * A path is one of the running system (`/etc/x`, not `/usr/etc/x`). The path of a directory holds
 * for everything below it, except for paths with an entry of their own.
 */
import * as v from 'valibot';
import {
  type ComponentFacts,
  type ContentSource,
  deployedPath,
  type FileEntry,
  type FileMap,
  type Logger,
  parseJson,
} from '../../src/plugin.js';

const VERSION = 1;
/** Annotations and tables list names separated by commas. */
const NAME = /^[^,\p{Cc}]{1,255}$/u;
const CANONICAL_PATH = /^(\/|(\/(?!\.{1,2}(\/|$))[^/\0]+)+)$/;

const nameSchema = v.pipe(
  v.string(),
  v.regex(NAME, 'expected a name of 1 to 255 characters without commas'),
);
const pathSchema = v.pipe(
  v.string(),
  v.regex(CANONICAL_PATH, 'expected an absolute path without "." or ".."'),
);
const declarationSchema = v.strictObject({
  updateInterval: v.optional(v.pipe(v.number(), v.minValue(0))),
  source: v.optional(nameSchema),
  exclusive: v.optional(v.literal(true)),
});
const mappingSchema = v.object({
  version: v.literal(VERSION),
  paths: v.record(pathSchema, nameSchema),
  components: v.optional(v.record(nameSchema, declarationSchema), {}),
});

/** What the file declares about a component. */
type Declaration = v.InferOutput<typeof declarationSchema>;

/**
 * Returns the content source that `text` describes. Throws `CORRUPT`, naming the member, if the
 * text is no mapping.
 */
export function mapping(text: string): ContentSource {
  const { paths, components: declarations } = parseJson(text, mappingSchema);
  const declared = new Map(Object.entries(declarations));
  const components = new Map<string, ComponentFacts>();
  for (const name of Object.values(paths)) {
    components.set(idOf(name), factsOf(name, declared.get(name) ?? {}));
  }

  return {
    name: 'mapping',
    priority: 5, // A file that is named on the command line precedes what the tree itself says.
    detect: () => components.size > 0,
    async load({ tree, log }) {
      const namesByPath = resolvePaths(tree.files, paths, log);
      return {
        components,
        strong(entry) {
          const name = nameOf(entry, namesByPath);
          return name === undefined ? [] : [idOf(name)];
        },
      };
    },
  };
}

function idOf(name: string): string {
  return `mapping:${name}`;
}

function factsOf(name: string, declaration: Declaration): ComponentFacts {
  return { ...declaration, name, source: declaration.source ?? idOf(name), packages: [] };
}

/**
 * The names by the paths that the files have in the tree, after symlinks in their directories are
 * followed.
 */
function resolvePaths(
  files: FileMap,
  paths: Readonly<Record<string, string>>,
  log: Logger,
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const missing: string[] = [];
  for (const [path, name] of Object.entries(paths)) {
    const entry = findDeployed(files, path);
    if (entry === undefined) {
      missing.push(path);
    } else {
      names.set(deployedPath(entry.path), name);
    }
  }

  if (missing.length > 0) {
    log.warn(
      `mapping: paths that are not in the tree: ${missing.length}, the first is ${missing[0]}`,
    );
  }
  return names;
}

/** The entry that `path` names in the running system; a commit keeps /etc below /usr. */
function findDeployed(files: FileMap, path: string): FileEntry | undefined {
  return (
    files.resolve(path) ?? (path.startsWith('/etc') ? files.resolve(`/usr${path}`) : undefined)
  );
}

/** The name for the longest path that is `entry` or a directory above it. */
function nameOf({ path }: FileEntry, names: ReadonlyMap<string, string>): string | undefined {
  for (let at = deployedPath(path); at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const name = names.get(at);
    if (name !== undefined) {
      return name;
    }
  }
  return names.get('/');
}
