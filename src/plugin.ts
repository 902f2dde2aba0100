/**
 * The plugin interface: what `import ... from 'ostrata/plugin'` gives, and all that plugins may
 * rely on. The built-in plugins use nothing else. `PLUGINS.md` beside this file explains how to
 * write one.
 *
 * A plugin brings content sources, which say who owns a file, and layout strategies, which say
 * which components share a layer. Both are plain objects. Additions to this file raise the minor
 * number of {@link PLUGIN_API_VERSION}.
 */
import semver from 'semver';
import { OstrataError } from './errors.js';
import type { Context } from './log.js';
import type { FileMap } from './tree/file-map.js';
import type { FileEntry, Tree, TreePath } from './tree/tree.js';

/**
 * Checks JSON text by a valibot schema. Throws `CORRUPT`, naming the member, if it does not fit.
 */
export { parseJson } from './bytes/json.js';
/**
 * Helpers for text: order and decode as ostrata does, so that the same tree gives the same layout
 * everywhere.
 */
export { compareUtf8, decodeUtf8 } from './bytes/text.js';
/**
 * The error type whose `code` and message reach the user; any other error of a plugin is wrapped in
 * one.
 */
export { type ErrorCode, OstrataError } from './errors.js';
export type { Context, Logger } from './log.js';
export type { FileMap } from './tree/file-map.js';
export type { LookupTree, PathLookup } from './tree/lookup.js';
/** Maps a path of a commit (`/usr/etc/x`) to the path in the running system (`/etc/x`). */
export { deployedPath } from './tree/path.js';
/** Helpers for content sources that read a package database. */
export { locateInstalled, PathOwners } from './tree/path-owners.js';
export type * from './tree/tree.js';

/**
 * Version of this interface, raised by the rules of semver. 1.1 added {@link compareUtf8}, {@link
 * decodeUtf8}, {@link parseJson}, {@link OstrataError}, and the types `Context`, `ErrorCode`,
 * `LookupTree` and `PathLookup`. 1.2 added `Claims.shipped`, {@link PathOwners} and {@link
 * locateInstalled}, and `FileEntry` states times, hard links and content digests where they are
 * known. 1.3 added `Claims.missing`, 1.4 `Component.partOf` and `LayoutStrategy.parts`, 1.5
 * `LayoutLimits.clientCadence`.
 */
export const PLUGIN_API_VERSION = '1.5.0';

/** One installed version of a package. */
export interface PackageFacts {
  readonly name: string;
  /**
   * name-[epoch:]version-release.arch, as `rpm -qa --qf '%{NEVRA}'` prints it, or the like for
   * packages of other kinds.
   */
  readonly nevra: string;
  /** Bytes, as the package database records them. */
  readonly size: number;
  /** Seconds since 1970; undefined if the database has no build time. */
  readonly buildTime?: number | undefined;
  /** Times of the changelog entries in seconds since 1970, newest first. */
  readonly changelogTimes: readonly number[];
}

/**
 * What a content source knows about a component. Facts only: the core derives rates of change from
 * them.
 */
export interface ComponentFacts {
  /** Readable name for annotations and tables, without a version, e.g. `bash`. */
  readonly name: string;
  /**
   * What the component was built from: the source package or, if there is none, the component's own
   * id. Components with the same source tend to change together.
   */
  readonly source: string;
  readonly packages: readonly PackageFacts[];
  /** Asks for a layer that holds nothing else (the `user.component` xattr does). */
  readonly exclusive?: boolean | undefined;
  /**
   * Days between updates, as the owner of the content declares them; 0 means that every build
   * changes it.
   */
  readonly updateInterval?: number | undefined;
}

/** Which component owns which file, according to one content source. */
export interface Claims {
  /**
   * Facts by component id. An id must stay the same from build to build: `bash.x86_64`,
   * `initramfs`, `dir:/usr/share/x`.
   */
  readonly components: ReadonlyMap<string, ComponentFacts>;
  /**
   * Ids of the components that certainly own `entry`, a file or symlink; the first one is taken.
   * Empty if none does. Must do no I/O.
   */
  strong(entry: FileEntry): readonly string[];
  /**
   * Best guess for an entry that no source before this one claims and that `strong` does not claim.
   * May read and hash content.
   */
  weak?(entry: FileEntry): Promise<readonly string[]>;
  /**
   * Returns what the package database records of the file or symlink at `path` as its package
   * shipped it; undefined if no package shipped one. Must do no I/O.
   */
  shipped?(path: TreePath): ShippedFile | undefined;
  /**
   * Returns the regular files that packages shipped and that are not at their paths in the tree.
   * A file that nobody certainly owns and that has the content of one of them was moved, so it
   * belongs to the same component. Called at most once. Must do no I/O.
   */
  missing?(): Iterable<MissingFile>;
}

/** A file that a package shipped and that is not at its path in the tree. */
export interface MissingFile {
  /** Id of the component that shipped it, one of `Claims.components`. */
  readonly component: string;
  readonly file: ShippedFile;
}

/** A file or symlink as its package shipped it. */
export interface ShippedFile {
  /** Seconds since 1970; undefined if the database records no times. */
  readonly mtime?: number | undefined;
  /** Bytes of a regular file; undefined if the database does not record them. */
  readonly size?: number | undefined;
  /** Digests of the content in hex, those that the database records. One is compared. */
  readonly sha256?: string | undefined;
  readonly sha1?: string | undefined;
  readonly md5?: string | undefined;
  /** Target of a symlink. */
  readonly target?: string | undefined;
}

/** Answers the question "Who owns this file?" */
export interface ContentSource {
  readonly name: string;
  /** Sources are asked in ascending order; the first that claims an entry owns it. */
  readonly priority: number;
  /** Whether this source can claim anything in the tree. Must do no I/O. */
  detect(files: FileMap): boolean;
  /**
   * Called once, and only after {@link detect} has returned true. May do I/O; must stop when
   * `signal` is aborted.
   */
  load(context: Context & { readonly tree: Tree }): Promise<Claims>;
}

/** A component as layout strategies see it: without files and without a clock. */
export interface Component {
  readonly id: string;
  readonly name: string;
  /** Components of one source tend to change together. */
  readonly source: string;
  /**
   * Id of the component that this is a part of: it holds some directories of it, and changes only
   * in updates that change the whole. Only strategies with {@link LayoutStrategy.parts} get parts.
   */
  readonly partOf?: string | undefined;
  /** Bytes of regular-file content. */
  readonly size: number;
  /**
   * Expected changes a year, from the facts alone (not from history). Infinity: it changes in every
   * build.
   */
  readonly changesPerYear: number;
  /** Equal if and only if the content is equal; two builds are compared by it. */
  readonly version: string;
}

/** Which components share a layer. The layers are in image order, without the commit layer. */
export interface Layout {
  readonly layers: readonly LayoutLayer[];
}
/** One layer of a layout. */
export interface LayoutLayer {
  /**
   * Component ids, sorted by bytes. An empty layer is reserved for later builds: it has no blob,
   * but counts as a layer.
   */
  readonly components: readonly string[];
}

/** What previous builds showed about one component. */
export interface ChangeCount {
  /** Number of updates for which the component was in both builds. */
  readonly updates: number;
  /** In how many of these updates its content changed. */
  readonly changes: number;
}
/** Change counts by component id; for parts there are also those of the whole component. */
export type ChangeHistory = ReadonlyMap<string, ChangeCount>;

/**
 * A layer of the previous image, without ids that no longer exist. A layer that lost all its ids
 * stays in the list, empty.
 */
export interface PriorLayer extends LayoutLayer {
  /**
   * Clients download this content again under any plan, because one of its components changed or
   * was removed.
   */
  readonly dirty: boolean;
}

/** The bounds within which a strategy plans, and what is known about previous builds. */
export interface LayoutLimits {
  /** The largest number of layers for the given components; at least 1. */
  readonly maxLayers: number;
  /** Bytes of content that no layer should exceed, unless it holds a single larger component. */
  readonly maxLayerSize?: number | undefined;
  /**
   * The layers of the previous image in its order; there may be more than `maxLayers`. Undefined
   * for a first build.
   */
  readonly prior?: readonly PriorLayer[] | undefined;
  /** Change counts up to and including the update from the previous image to this one. */
  readonly history?: ChangeHistory | undefined;
  /**
   * Which builds clients take: each number stands for equally many clients, those that take every
   * build (1), every second one (2), and so on. Undefined if that is not known.
   */
  readonly clientCadence?: readonly number[] | undefined;
}

/**
 * Decides which components share a layer. A strategy must be pure, synchronous and deterministic,
 * and the order of `components` must not matter.
 */
export interface LayoutStrategy {
  readonly name: string;
  /** One line for `--help`. */
  readonly description: string;
  /**
   * The parts of components that this strategy places: `any`, or those with these ids. Undefined if
   * all components come whole.
   */
  readonly parts?: 'any' | ReadonlySet<string> | undefined;
  /**
   * Puts every component into exactly one of at most `maxLayers` layers; the core checks that and
   * throws `PLUGIN`.
   */
  plan(components: readonly Component[], limits: LayoutLimits): Layout;
}

/** What a module given with `--plugin` exports as its default. */
export interface Plugin {
  readonly name: string;
  /**
   * The semver range of {@link PLUGIN_API_VERSION} that this plugin was written for, e.g. `^1.0`.
   */
  readonly apiVersion: string;
  readonly contentSources?: readonly ContentSource[] | undefined;
  readonly layoutStrategies?: readonly LayoutStrategy[] | undefined;
}

/**
 * Returns `plugin` unchanged. Throws `PLUGIN` if its shape is wrong or its API range excludes
 * {@link PLUGIN_API_VERSION}.
 */
export function definePlugin(plugin: Plugin): Plugin {
  if (typeof plugin?.name !== 'string' || typeof plugin.apiVersion !== 'string') {
    throw new OstrataError('PLUGIN', 'a plugin is an object with at least name and apiVersion');
  }

  if (!semver.satisfies(PLUGIN_API_VERSION, plugin.apiVersion)) {
    throw new OstrataError(
      'PLUGIN',
      `plugin ${plugin.name} was written for API ${plugin.apiVersion}, ` +
        `this is API ${PLUGIN_API_VERSION}`,
    );
  }
  return plugin;
}
