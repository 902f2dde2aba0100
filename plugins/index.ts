/** The built-in plugins: name and lazy load, one line each. Only the command line imports this; library callers choose their own. */
import type { ContentSource, LayoutStrategy } from '../src/plugin.js';

type Lazy<T> = Readonly<Record<string, () => Promise<T>>>;

const contentSources: Lazy<ContentSource> = {
  xattr: async () => (await import('./xattr/index.js')).xattr,
  rpm: async () => (await import('./rpm/index.js')).rpm,
  kernel: async () => (await import('./kernel/index.js')).kernel,
  bigfiles: async () => (await import('./bigfiles/index.js')).bigfiles,
  subtree: async () => (await import('./subtree/index.js')).subtree,
};

const layoutStrategies: Lazy<LayoutStrategy> = {
  'expected-download': async () =>
    (await import('./layouts/expected-download.js')).expectedDownload,
  'rpm-ostree': async () => (await import('./layouts/rpm-ostree.js')).rpmOstree,
  'rpm-ostree-fresh': async () => (await import('./layouts/rpm-ostree.js')).rpmOstreeFresh,
  'size-tail': async () => (await import('./layouts/size-tail.js')).sizeTail,
  'hash-tiers': async () => (await import('./layouts/hash-tiers.js')).hashTiers,
  'one-per-component': async () => (await import('./layouts/one-per-component.js')).onePerComponent,
  single: async () => (await import('./layouts/single.js')).single,
};

/** Names that {@link loadLayoutStrategy} knows, the default first. */
export const layoutNames: readonly string[] = Object.keys(layoutStrategies);

/** All built-in content sources. */
export async function loadContentSources(): Promise<readonly ContentSource[]> {
  return Promise.all(Object.values(contentSources).map((load) => load()));
}

/** The content source that a mapping's text describes; throws `CORRUPT` where it is none. */
export async function loadMapping(text: string): Promise<ContentSource> {
  return (await import('./mapping/index.js')).mapping(text);
}

/** The built-in strategy `name`; undefined where there is none of that name. */
export async function loadLayoutStrategy(name: string): Promise<LayoutStrategy | undefined> {
  return Object.hasOwn(layoutStrategies, name) ? layoutStrategies[name]?.() : undefined;
}
