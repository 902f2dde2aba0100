/** The result of `ostrata diff` as plain data, which every output is made from. */
import {
  comparePackages,
  type InstalledVersion,
  type PackageChanges,
  type PackageUpdate,
} from '../../components/package-changes.js';
import { type ConfigChange, configChanges } from '../../image/config-changes.js';
import { compareTrees, type FileChange } from '../../image/file-changes.js';
import {
  type ComponentDiff,
  changesByComponent,
  type FileOwners,
  fileOwners,
  ownerOf,
} from '../../image/owned-files.js';
import type { Context } from '../../log.js';
import type { ContentSource } from '../../plugin.js';
import { sizeOf } from '../container/image-info.js';
import type { FoundDelta } from '../delta/find.js';
import { type ChangelogEntry, changelogBetween } from '../rpmdb/changelog.js';
import { type ContentReport, imageContents } from './contents.js';
import { type Input, treeOf } from './input.js';
import {
  compareLayers,
  type LayerReport,
  layerReports,
  layersByFile,
  type UpdateReport,
  updateReport,
} from './layers.js';
import { compareListed, type ListedPackage, type PackageList } from './packages.js';
import { componentCause } from './words.js';

export interface DiffReport {
  readonly old: SideReport;
  readonly new: SideReport;
  /** What clients of the old image download; undefined unless two images are compared. */
  readonly update?: UpdateReport | undefined;
  /** Undefined unless both sides have a package database. */
  readonly packages?: PackageReport | undefined;
  /** The layers that clients download, the largest first; for two images. */
  readonly layers?: readonly LayerReport[] | undefined;
  /** All layers of the new image, in its order; for two images. */
  readonly contents?: readonly ContentReport[] | undefined;
  /** Settings, labels and annotations that differ; for two images. */
  readonly settings?: readonly ConfigChange[] | undefined;
  /** What differs in files, by component; undefined unless files are compared. */
  readonly components?: readonly ComponentReport[] | undefined;
  /** Every file and directory that differs; undefined unless files are compared. */
  readonly files?: readonly FileReport[] | undefined;
}

export interface SideReport {
  readonly name: string;
  readonly kind: Input['kind'];
  readonly manifestDigest?: string | undefined;
  readonly created?: string | undefined;
  readonly packages?: number | undefined;
  readonly layers?: number | undefined;
  /** Compressed bytes of all layers. */
  readonly size?: number | undefined;
}

export interface ReportedPackage extends InstalledVersion {
  /** Installed size in bytes. */
  readonly size: number;
}

export interface ReportedUpdate extends PackageUpdate<ReportedPackage> {
  /** Entries that only the newer version has; undefined unless they are asked for. */
  readonly changelog?: readonly ChangelogEntry[] | undefined;
}

export interface PackageReport extends PackageChanges<ReportedPackage> {
  readonly upgraded: readonly ReportedUpdate[];
  readonly downgraded: readonly ReportedUpdate[];
  readonly renamed: readonly ReportedUpdate[];
}

export interface ComponentReport {
  readonly id: string;
  readonly name: string;
  readonly files: number;
  /** Bytes of content. */
  readonly size: number;
  readonly changedFiles: number;
  /** Bytes of new content. */
  readonly newSize: number;
  /** In words. */
  readonly because: string;
}

export interface FileReport extends FileChange {
  /** Id of the component that owns the file; undefined for a directory. */
  readonly component?: string | undefined;
  /** Position of the new layer that it is a cause of; for two images. */
  readonly layer?: number | undefined;
}

export interface ReportOptions extends Context {
  readonly sources: readonly ContentSource[];
  readonly hasChangelogs: boolean;
  readonly comparesFiles: boolean;
  /** The delta between two images, if there is one. */
  readonly delta?: FoundDelta | undefined;
}

/** Compares two inputs. */
export async function diffInputs(
  old: Input,
  next: Input,
  options: ReportOptions,
): Promise<DiffReport> {
  const files = options.comparesFiles ? await diffFiles(old, next, options) : undefined;
  const packages = packageReport(old, next, options.hasChangelogs);
  const layers = compareLayers(old, next, files);
  const layerOf = layers && layersByFile(layers);
  return {
    old: sideOf(old),
    new: sideOf(next),
    update: layers && updateReport(layers, options.delta),
    layers: layers && layerReports(layers),
    contents: layers && imageContents(next, layers, packages, files?.new.components),
    settings: old.image && next.image && configChanges(old.image, next.image),
    packages,
    components: files?.components.map(componentReport),
    files: files?.changes.map((change) => ({ ...change, layer: layerOf?.get(change.path) })),
  };
}

function sideOf({ name, kind, list, image }: Input): SideReport {
  return {
    name,
    kind,
    manifestDigest: image?.manifestDigest,
    created: image?.config.created,
    packages: list?.packages.length,
    layers: image?.layers.length,
    size: image && sizeOf(image.layers),
  };
}

interface FilesDiff {
  readonly changes: readonly FileReport[];
  readonly components: readonly ComponentDiff[];
  readonly old: FileOwners;
  readonly new: FileOwners;
}

async function diffFiles(
  old: Input,
  next: Input,
  { sources, log, signal }: ReportOptions,
): Promise<FilesDiff> {
  const oldTree = treeOf(old);
  const newTree = treeOf(next);
  const changes = await compareTrees(oldTree, newTree);
  const oldOwners = await fileOwners(oldTree, sources, { log, signal });
  const newOwners = await fileOwners(newTree, sources, { log, signal });
  return {
    changes: changes.map((change) => ({
      ...change,
      component: ownerOf(change, oldOwners, newOwners),
    })),
    components: changesByComponent(changes, oldOwners, newOwners),
    old: oldOwners,
    new: newOwners,
  };
}

function packageReport(
  { list: old }: Input,
  { list: next }: Input,
  hasChangelogs: boolean,
): PackageReport | undefined {
  if (old === undefined || next === undefined) {
    return undefined;
  }
  const pathsOf = ({ paths }: ListedPackage) => paths?.() ?? [];
  const changes = comparePackages(old.packages, next.packages, compareListed, pathsOf);
  const reportUpdate = ({ from, to }: PackageUpdate<ListedPackage>): ReportedUpdate => ({
    from: reported(from),
    to: reported(to),
    changelog: hasChangelogs ? entriesBetween(from, to, next) : undefined,
  });
  return {
    upgraded: changes.upgraded.map(reportUpdate),
    downgraded: changes.downgraded.map(reportUpdate),
    renamed: changes.renamed.map(reportUpdate),
    added: changes.added.map(reported),
    removed: changes.removed.map(reported),
    unchanged: changes.unchanged,
  };
}

function reported({ name, arch, evr, nevra, size }: ListedPackage): ReportedPackage {
  return { name, arch, evr, nevra, size };
}

/** Returns undefined for packages whose database has no changelogs, or if they are damaged. */
function entriesBetween(
  from: ListedPackage,
  to: ListedPackage,
  { sound }: PackageList,
): readonly ChangelogEntry[] | undefined {
  const { rpm } = from;
  if (rpm === undefined || to.rpm === undefined || sound === undefined) {
    return undefined;
  }
  const [entries] = sound.map([to.rpm], (newer) => changelogBetween(rpm, newer));
  return entries;
}

function componentReport(component: ComponentDiff): ComponentReport {
  const { id, name, files, size, changes, newSize } = component;
  return {
    id,
    name,
    files,
    size,
    changedFiles: changes.length,
    newSize,
    because: componentCause(component),
  };
}
