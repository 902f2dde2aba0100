import semver from 'semver';
import { OstrataError } from './errors.js';
import type { Logger } from './log.js';
import type { FileMap } from './tree/file-map.js';
import type { FileEntry, Tree } from './tree/tree.js';

export type { Logger } from './log.js';
export { deployedPath } from './tree/deployed-path.js';
export type { FileMap } from './tree/file-map.js';
export type * from './tree/tree.js';

/** Version of the plugin seam in this file; raised by semver rules. A plugin states the range it was written for. */
export const PLUGIN_API_VERSION = '1.0.0';

/** One installed version of a package. */
export interface PackageFacts {
  readonly name: string;
  /** name-[epoch:]version-release.arch, as `rpm -qa --qf '%{NEVRA}'` prints it. */
  readonly nevra: string;
  /** Bytes, as the package database records them. */
  readonly size: number;
  /** Seconds since 1970; undefined where the database has none. */
  readonly buildTime?: number | undefined;
  /** Seconds since 1970, newest first. */
  readonly changelogTimes: readonly number[];
}

/** What a content source knows of a component; facts only: rates are derived once, in components/. */
export interface ComponentFacts {
  /** Readable name for annotations and tables, without version, e.g. `bash`. */
  readonly name: string;
  /** What tends to change together with this: the source package; the component's own id where there is none. */
  readonly source: string;
  readonly packages: readonly PackageFacts[];
  /** A layer of its own is asked for (the `user.component` xattr). */
  readonly exclusive?: boolean | undefined;
  /** Days between updates, as the owner of the content declares them; 0 means in every build. */
  readonly updateInterval?: number | undefined;
}

/** Who owns what, by one content source. */
export interface Claims {
  /** By component id: stable from build to build, no version in it (`bash.x86_64`, `initramfs`, `dir:/usr/share/x`). */
  readonly components: ReadonlyMap<string, ComponentFacts>;
  /** Ids of the components that own `entry` (a file or symlink), by certain knowledge; the first is taken. No I/O. */
  strong(entry: FileEntry): readonly string[];
  /** Best effort for what nobody claims strongly; may read and hash. */
  weak?(entry: FileEntry): Promise<readonly string[]>;
}

/** "Who owns this file?" */
export interface ContentSource {
  readonly name: string;
  /** Sources are asked in ascending order; the first that claims an entry owns it. */
  readonly priority: number;
  /** Whether this source has anything to say of the tree. No I/O. */
  detect(files: FileMap): boolean;
  load(context: {
    readonly tree: Tree;
    readonly log: Logger;
    readonly signal: AbortSignal;
  }): Promise<Claims>;
}

/** A component as layout strategies see it: no files, no clock. */
export interface Component {
  readonly id: string;
  readonly name: string;
  /** Components of one source tend to change together. */
  readonly source: string;
  /** Bytes of regular-file content. */
  readonly size: number;
  /** Expected changes a year, from the facts alone (not from history); Infinity: in every build. */
  readonly changesPerYear: number;
  /** Equal exactly when the content is equal: two builds are compared by it. */
  readonly version: string;
}

/** Which components share a layer. Layers are in image order, the commit layer not among them. */
export interface Layout {
  readonly layers: readonly LayoutLayer[];
}
export interface LayoutLayer {
  /** Component ids, sorted by bytes. None: a place kept for later builds; it takes no blob, but counts as a layer. */
  readonly components: readonly string[];
}

/** What previous builds showed of one component. */
export interface ChangeCount {
  /** Updates in which the component was there before and after. */
  readonly updates: number;
  /** Of those, in how many its content changed. */
  readonly changes: number;
}
/** By component id. */
export type ChangeHistory = ReadonlyMap<string, ChangeCount>;

/** A layer of the previous image; ids that are gone have been removed, a layer that lost all stays in place, empty. */
export interface PriorLayer extends LayoutLayer {
  /** Clients fetch this content again whatever the plan: a component of it changed or is gone. */
  readonly dirty: boolean;
}

export interface LayoutLimits {
  /** Layers for the given components, at least 1. */
  readonly maxLayers: number;
  /** Bytes of content that a layer should not exceed unless one component alone does. */
  readonly maxLayerSize?: number | undefined;
  /** The layers of the previous image, in its order; there may be more than `maxLayers` of them. */
  readonly prior?: readonly PriorLayer[] | undefined;
  /** Counts up to and with the update from the previous image to this one. */
  readonly history?: ChangeHistory | undefined;
}

/** "Which layer?" Pure, synchronous, deterministic; the order of `components` does not matter. */
export interface LayoutStrategy {
  readonly name: string;
  /** One line for `--help`. */
  readonly description: string;
  /** Puts every component into exactly one of at most `maxLayers` layers; the core checks that. */
  plan(components: readonly Component[], limits: LayoutLimits): Layout;
}

export interface Plugin {
  readonly name: string;
  /** semver range of {@link PLUGIN_API_VERSION} this plugin was written for, e.g. `^1.0`. */
  readonly apiVersion: string;
  readonly contentSources?: readonly ContentSource[] | undefined;
  readonly layoutStrategies?: readonly LayoutStrategy[] | undefined;
}

/** Returns `plugin` as it is, typed; throws `PLUGIN` where its shape or API range does not fit. */
export function definePlugin(plugin: Plugin): Plugin {
  if (typeof plugin?.name !== 'string' || typeof plugin.apiVersion !== 'string') {
    throw new OstrataError('PLUGIN', 'a plugin is an object with at least name and apiVersion');
  }
  if (!semver.satisfies(PLUGIN_API_VERSION, plugin.apiVersion)) {
    throw new OstrataError(
      'PLUGIN',
      `plugin ${plugin.name} was written for API ${plugin.apiVersion}, this is API ${PLUGIN_API_VERSION}`,
    );
  }
  return plugin;
}
