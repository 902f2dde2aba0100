/** What is in all layers of the new image, and what is known about it, as plain data. */
import type { InstalledVersion, PackageChanges } from '../../components/package-changes.js';
import type { ReadLayer } from '../../image/encapsulated.js';
import type { ComponentFiles } from '../../image/owned-files.js';
import type { Input } from './input.js';
import type { LayersDiff } from './layers.js';
import type { ListedPackage } from './packages.js';

/** A layer of the new image. */
export interface ContentReport {
  /** Position in the image. */
  readonly index: number;
  /** Compressed bytes. */
  readonly size: number;
  /** Whether clients of the old image download it. */
  readonly isNew: boolean;
  /** The command that made it, where nothing is known about its components. */
  readonly createdBy?: string | undefined;
  readonly components: readonly ContentComponent[];
}

/** A package, or other files that belong together. */
export interface ContentComponent {
  readonly id: string;
  /** Name of the package; the id for anything else. */
  readonly name: string;
  /** Bytes of content, or the installed size of the package; undefined if it is not known. */
  readonly size?: number | undefined;
  /** Undefined if it did not change, as far as is known. */
  readonly change?: 'added' | 'changed' | undefined;
  /** Number of updates that the layout record counts, and how many of them changed it. */
  readonly updates?: number | undefined;
  readonly changes?: number | undefined;
}

/** What can be found out about components, by their ids or names. */
interface Known {
  readonly packages: ReadonlyMap<string, ListedPackage>;
  readonly changes: ReadonlyMap<string, 'added' | 'changed'>;
  readonly files: ReadonlyMap<string, ComponentFiles> | undefined;
  readonly record: NonNullable<Input['image']>['record'];
}

/**
 * Returns the layers of the new image in their order.
 * @param files the components of the new tree; undefined unless files are compared
 */
export function imageContents(
  { image, list }: Input,
  diff: LayersDiff,
  packages: PackageChanges<InstalledVersion> | undefined,
  files: ReadonlyMap<string, ComponentFiles> | undefined,
): readonly ContentReport[] {
  const known: Known = {
    packages: byName(list?.packages ?? []),
    changes: changesByName(packages),
    files,
    record: image?.record,
  };
  const added = new Map(diff.added.map((layer) => [layer.diffId, layer]));
  return (image?.layers ?? []).map((layer, index): ContentReport => {
    const { descriptor, createdBy, diffId } = layer;
    const newLayer = added.get(diffId);
    const recorded = new Map(newLayer?.changes.map(({ id, change }) => [id, change]));
    const components = idsOf(layer).map((id) => {
      const change = newLayer && (recorded.get(id) ?? known.changes.get(id));
      return contentComponent(id, change, known);
    });
    const isUnknown = components.length === 0 && layer.kind !== 'commit';
    return {
      index,
      size: descriptor.size,
      isNew: newLayer !== undefined,
      createdBy: isUnknown ? createdBy : undefined,
      components,
    };
  });
}

function idsOf({ recorded, names }: ReadLayer): readonly string[] {
  return recorded?.components ?? names;
}

function contentComponent(
  id: string,
  change: ContentComponent['change'] | 'removed',
  { packages, files, record }: Known,
): ContentComponent {
  const found = packages.get(id);
  const count = record?.history?.get(id);
  return {
    id,
    name: found?.name ?? id,
    size: files?.get(id)?.size ?? found?.size,
    change: change === 'removed' ? undefined : change,
    updates: count?.updates,
    changes: count?.changes,
  };
}

/** A component has the id `NAME.ARCH` in our images, and often only `NAME` in those of others. */
function byName<T extends InstalledVersion>(packages: readonly T[]): ReadonlyMap<string, T> {
  const byId = new Map<string, T>();
  for (const each of packages) {
    byId.set(each.name, each);
    byId.set(`${each.name}.${each.arch}`, each);
  }
  return byId;
}

function changesByName(packages: PackageChanges<InstalledVersion> | undefined): Known['changes'] {
  const changes = new Map<string, 'added' | 'changed'>();
  const { added = [], upgraded = [], downgraded = [], renamed = [] } = packages ?? {};
  const updated = [...upgraded, ...downgraded, ...renamed].map(({ to }) => to);
  for (const id of byName(updated).keys()) {
    changes.set(id, 'changed');
  }
  for (const id of byName(added).keys()) {
    changes.set(id, 'added');
  }
  return changes;
}
