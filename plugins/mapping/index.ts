/**
 * Content source `mapping`: a file says which component a path belongs to, for trees without a package database and
 * without extended attributes (another build system knows what it has put where). JSON,
 *
 *   {"version": 1, "paths": {PATH: NAME, ...}, "components": {NAME: {"updateInterval"?: days, "source"?: string, "exclusive"?: true}}}
 *
 * A path is one of the running system (`/etc/x`, not `/usr/etc/x`). A directory's counts for all that is below it, but for
 * paths that say otherwise.
 */
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import {
  type ComponentFacts,
  type ContentSource,
  deployedPath,
  type FileEntry,
  type FileMap,
  type Logger,
} from '../../src/plugin.js';

const VERSION = 1;
/** A name is put into annotations and tables, separated by commas. */
const NAME = /^[^,\p{Cc}]{1,255}$/u;
const CANONICAL_PATH = /^(\/|(\/(?!\.{1,2}(\/|$))[^/\0]+)+)$/;

const name = v.pipe(v.string(), v.regex(NAME, 'expected a name of 1 to 255 characters, no comma'));
const path = v.pipe(
  v.string(),
  v.regex(CANONICAL_PATH, 'expected an absolute path without "." or ".."'),
);
const schema = v.object({
  version: v.literal(VERSION),
  paths: v.record(path, name),
  components: v.optional(
    v.record(
      name,
      v.strictObject({
        updateInterval: v.optional(v.pipe(v.number(), v.minValue(0))),
        source: v.optional(name),
        exclusive: v.optional(v.literal(true)),
      }),
    ),
    {},
  ),
});

const idOf = (name: string) => `mapping:${name}`;

/** Throws `CORRUPT`, naming the member, for a text that is no mapping. */
export function mapping(text: string): ContentSource {
  const { paths, components } = parseJson(text, schema);
  const declared = new Map(Object.entries(components));
  const names = new Set(Object.values(paths));
  const facts = new Map(
    [...names].map((name) => [idOf(name), factsOf(name, declared.get(name) ?? {})]),
  );
  return {
    name: 'mapping',
    priority: 5, // what somebody names on the command line comes before what the tree says
    detect: () => names.size > 0,
    load: async ({ tree, log }) => {
      const owners = ownersIn(tree.files, paths, log);
      return {
        components: facts,
        strong: (entry) => {
          const owner = ownerOf(entry, owners);
          return owner === undefined ? [] : [idOf(owner)];
        },
      };
    },
  };
}

type Declared = v.InferOutput<typeof schema>['components'][string];

function factsOf(
  name: string,
  { updateInterval, source = idOf(name), exclusive }: Declared,
): ComponentFacts {
  const declared = updateInterval !== undefined && { updateInterval };
  return { name, source, packages: [], ...declared, ...(exclusive && { exclusive }) };
}

/** Names by the paths that they have in the tree, after symlinks in their directories. */
function ownersIn(
  files: FileMap,
  paths: Readonly<Record<string, string>>,
  log: Logger,
): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  const missing: string[] = [];
  for (const [path, name] of Object.entries(paths)) {
    const entry =
      files.resolve(path) ?? (path.startsWith('/etc') ? files.resolve(`/usr${path}`) : undefined);
    if (entry === undefined) {
      missing.push(path);
    } else {
      owners.set(deployedPath(entry.path), name);
    }
  }
  if (missing.length > 0) {
    log.warn(
      `mapping: paths that are not in the tree: ${missing.length}, the first is ${missing[0]}`,
    );
  }
  return owners;
}

function ownerOf({ path }: FileEntry, owners: ReadonlyMap<string, string>): string | undefined {
  for (let at = deployedPath(path); at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const owner = owners.get(at);
    if (owner !== undefined) {
      return owner;
    }
  }
  return owners.get('/');
}
