/**
 * The built-in plugins, one line each: its name and how it is loaded. Only the command line imports
 * this file; users of the library choose their own plugins.
 */
import type { ContentSource, LayoutStrategy } from '../src/plugin.js';
import type { DamageOptions } from './rpm/index.js';

/** How to load each plugin, by its name. */
type Loaders<T> = Readonly<Record<string, (options: DamageOptions) => Promise<T>>>;

const contentSources: Loaders<ContentSource> = {
  xattr: async () => (await import('./xattr/index.js')).xattr,
  rpm: async (options) => (await import('./rpm/index.js')).rpmSource(options),
  dpkg: async (options) => (await import('./dpkg/index.js')).dpkgSource(options),
  apk: async (options) => (await import('./apk/index.js')).apkSource(options),
  alpm: async (options) => (await import('./alpm/index.js')).alpmSource(options),
  kernel: async () => (await import('./kernel/index.js')).kernel,
  bigfiles: async () => (await import('./bigfiles/index.js')).bigfiles,
  subtree: async () => (await import('./subtree/index.js')).subtree,
};

const layoutStrategies: Loaders<LayoutStrategy> = {
  'expected-download': async () =>
    (await import('./layouts/expected-download.js')).expectedDownload,
  stable: async () => (await import('./layouts/expected-download.js')).stable,
  'rpm-ostree': async () => (await import('./layouts/rpm-ostree.js')).rpmOstree,
  'rpm-ostree-fresh': async () => (await import('./layouts/rpm-ostree.js')).rpmOstreeFresh,
  'size-tail': async () => (await import('./layouts/size-tail.js')).sizeTail,
  'hash-tiers': async () => (await import('./layouts/hash-tiers.js')).hashTiers,
  'one-per-component': async () => (await import('./layouts/one-per-component.js')).onePerComponent,
  single: async () => (await import('./layouts/single.js')).single,
};

/** The names that {@link loadLayoutStrategy} knows, the default first. */
export const layoutNames: readonly string[] = Object.keys(layoutStrategies);

/** Loads all built-in content sources but `mapping`, which needs a file. */
export async function loadContentSources(
  options: DamageOptions = {},
): Promise<readonly ContentSource[]> {
  return Promise.all(Object.values(contentSources).map((load) => load(options)));
}

/**
 * Loads the content source that the text of a mapping file describes. Throws `CORRUPT` if the text
 * is no mapping.
 */
export async function loadMapping(text: string): Promise<ContentSource> {
  return (await import('./mapping/index.js')).mapping(text);
}

/** Loads the built-in strategy with this name; returns undefined if there is none. */
export async function loadLayoutStrategy(name: string): Promise<LayoutStrategy | undefined> {
  return new Map(Object.entries(layoutStrategies)).get(name)?.({});
}
