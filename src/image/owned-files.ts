/** What the packages of a tree own, and how much of it an update changes. */
import { compareUtf8 } from '../bytes/text.js';
import { assignComponents } from '../components/assign.js';
import { loadClaims } from '../components/load.js';
import type { Context } from '../log.js';
import type { ContentSource } from '../plugin.js';
import { deployedPath } from '../tree/path.js';
import type { Tree } from '../tree/tree.js';
import type { FileChange } from './file-changes.js';

/** The files and symlinks of one component. */
export interface ComponentFiles {
  /** As content sources call it, without a version. */
  readonly name: string;
  readonly files: number;
  /** Bytes of content. */
  readonly size: number;
}

/** Who owns the files of a tree. */
export interface FileOwners {
  /** Component ids by path, as in a running system. */
  readonly byPath: ReadonlyMap<string, string>;
  /** By component id. */
  readonly components: ReadonlyMap<string, ComponentFiles>;
}

/** Asks content sources who owns each file. Throws what they throw. */
export async function fileOwners(
  tree: Tree,
  sources: readonly ContentSource[],
  context: Context,
): Promise<FileOwners> {
  const claims = await loadClaims(tree, sources, context);
  const assigned = await assignComponents(tree, claims, ({ path }) => path);
  const byPath = new Map<string, string>();
  const components = new Map<string, ComponentFiles>();
  for (const { id, name, size, objects } of assigned) {
    components.set(id, { name, files: objects.size, size });
    for (const path of objects.keys()) {
      byPath.set(deployedPath(path), id);
    }
  }
  return { byPath, components };
}

/** What an update changes in the files of one component. */
export interface ComponentDiff extends ComponentFiles {
  readonly id: string;
  /** The files that differ. */
  readonly changes: readonly FileChange[];
  /** Bytes of content that are new: of files that were added, or whose content changed. */
  readonly newSize: number;
}

/**
 * Returns what `changes` mean for each component, those with the most new bytes first. Totals are
 * those of the new tree, or of the old one for a component that was removed.
 */
export function changesByComponent(
  changes: readonly FileChange[],
  old: FileOwners,
  next: FileOwners,
): readonly ComponentDiff[] {
  const byId = new Map<string, FileChange[]>();
  for (const change of changes) {
    const id = ownerOf(change, old, next);
    if (id !== undefined) {
      const list = byId.get(id) ?? [];
      byId.set(id, list);
      list.push(change);
    }
  }
  const diffs = Array.from(byId, ([id, list]): ComponentDiff => {
    const { name, files, size } = totals(id, old, next);
    const newSize = list.reduce((sum, change) => sum + newBytes(change), 0);
    return { id, name, files, size, changes: list, newSize };
  });
  return diffs.sort((a, b) => b.newSize - a.newSize || compareUtf8(a.id, b.id));
}

function totals(id: string, old: FileOwners, next: FileOwners): ComponentFiles {
  const known = next.components.get(id) ?? old.components.get(id);
  return known ?? { name: id, files: 0, size: 0 };
}

/** Returns the component of a file; undefined for a directory. */
export function ownerOf(
  { path, change }: FileChange,
  old: FileOwners,
  next: FileOwners,
): string | undefined {
  const { byPath } = change === 'removed' ? old : next;
  return byPath.get(path);
}

/** Returns how many bytes of content an update brings for a path. */
function newBytes({ change, aspects, newSize = 0 }: FileChange): number {
  const isNew = change === 'added' || aspects.includes('content') || aspects.includes('type');
  return isNew ? newSize : 0;
}
