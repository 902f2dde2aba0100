/**
 * Content source `dpkg`: files belong to the packages of Debian's database; component ids are
 * `NAME.ARCH`, as those of RPM packages. The database itself is the component `dpkgdb`, but what it
 * holds of a single package (`info/NAME.list`) belongs to that package: it changes with it.
 */
import {
  type Claims,
  type ComponentFacts,
  type ContentSource,
  compareUtf8,
  deployedPath,
  type FileEntry,
  type FileMap,
  type Logger,
  locateInstalled,
  type MissingFile,
  OstrataError,
  PathOwners,
  type ShippedFile,
  type Tree,
  type TreePath,
} from '../../src/plugin.js';
import { changelogTimes } from './changelog.js';
import { type Diverted, parseDiversions } from './diversions.js';
import { type DpkgPackage, parseStatus } from './status.js';

export { compareDebianVersions } from './version.js';

/** The id of the component that holds the database. */
export const DPKGDB_COMPONENT = 'dpkgdb';
const DATABASE_FACTS: ComponentFacts = {
  name: DPKGDB_COMPONENT,
  source: DPKGDB_COMPONENT,
  packages: [],
  updateInterval: 0,
};
const DATABASE = '/var/lib/dpkg';
/** The file that lists all packages, except in distroless images. */
export const DPKG_STATUS = `${DATABASE}/status`;
const ALTERNATIVES = '/etc/alternatives/';
/** What the database holds of single packages, by the end of the file's name. */
const INFO_KINDS = [
  ...['list', 'md5sums', 'conffiles', 'shlibs', 'symbols', 'triggers', 'templates', 'config'],
  ...['preinst', 'postinst', 'prerm', 'postrm'],
];

export interface DpkgOptions {
  /** Whether damaged packages are left out, with a warning. Otherwise the source throws. */
  readonly skipDamagedPackages?: boolean | undefined;
}

/** Makes the content source. */
export function dpkgSource(options: DpkgOptions = {}): ContentSource {
  return {
    name: 'dpkg',
    priority: 21,
    detect: (files) => statusFiles(files).length > 0,
    async load({ tree, log, signal }) {
      const packages = await dpkgPackages(tree, log, options);
      const diversions = await readText(tree, `${DATABASE}/diversions`);
      const database = new DpkgDatabase(tree, log, parseDiversions(diversions ?? ''));
      for (const each of packages) {
        signal.throwIfAborted();
        await database.add(each);
      }
      log.info(`dpkg database: ${packages.length} packages`);
      return database.claims();
    },
  };
}

/** Returns the files that list packages: distroless images have one for each package. */
function statusFiles(files: FileMap): readonly TreePath[] {
  const status = files.resolve(DPKG_STATUS, true);
  const found = status?.type === 'file' ? [status.path] : [];
  const folder = files.resolve(`${DATABASE}/status.d`, true);
  if (folder?.type !== 'directory') {
    return found;
  }
  const prefix = `${folder.path}/`;
  for (const { type, path } of files) {
    if (type === 'file' && path.startsWith(prefix) && !path.endsWith('.md5sums')) {
      found.push(path);
    }
  }
  return found;
}

/** Returns the packages of a tree, in byte order of their names; none without a database. */
export async function dpkgPackages(
  tree: Tree,
  log: Logger,
  { skipDamagedPackages = false }: DpkgOptions,
): Promise<readonly DpkgPackage[]> {
  const packages = new Map<string, DpkgPackage>();
  for (const file of statusFiles(tree.files)) {
    const text = Buffer.from(await tree.bytes(file)).toString();
    for (const each of parseStatus(text, file)) {
      if (!(each instanceof OstrataError)) {
        packages.set(componentId(each), each);
      } else if (skipDamagedPackages) {
        log.warn(`${each.message}; its files are planned as if no package owned them`);
      } else {
        const hint = '--skip-damaged-packages plans without damaged packages';
        throw new OstrataError('CORRUPT', `${each.message}; ${hint}`, { cause: each });
      }
    }
  }
  return [...packages].sort(([a], [b]) => compareUtf8(a, b)).map(([, each]) => each);
}

const componentId = ({ name, architecture }: DpkgPackage) => `${name}.${architecture}`;

/** What the packages of a tree own, collected package by package. */
class DpkgDatabase {
  readonly #tree: Tree;
  readonly #log: Logger;
  readonly #components = new Map([[DPKGDB_COMPONENT, DATABASE_FACTS]]);
  readonly #owners = new PathOwners();
  readonly #shipped = new Map<TreePath, ShippedFile>();
  readonly #missing: MissingFile[] = [];
  readonly #unlisted: string[] = [];
  readonly #diverted: Diverted;

  constructor(tree: Tree, log: Logger, diverted: Diverted) {
    this.#tree = tree;
    this.#log = log;
    this.#diverted = diverted;
  }

  async add(dpkg: DpkgPackage): Promise<void> {
    const { name, architecture, version, source, size } = dpkg;
    const id = componentId(dpkg);
    const times = await changelogTimes(this.#tree, name, this.#log);
    const nevra = `${name}-${version}.${architecture}`;
    const facts = { name, nevra, size, buildTime: times[0], changelogTimes: times };
    this.#components.set(id, { name, source, packages: [facts] });

    const list = await this.#info(dpkg, 'list');
    const sums = await this.#info(dpkg, 'md5sums');
    if (list === undefined && sums === undefined) {
      this.#unlisted.push(name);
    }
    for (const path of (list ?? '').split('\n')) {
      this.#own(path, dpkg);
    }
    for (const [, md5 = '', path] of (sums ?? '').matchAll(/^([0-9a-f]{32}) {2}(.+)$/gm)) {
      this.#ship(`/${path}`, md5, dpkg);
    }
    for (const { path, md5 } of dpkg.conffiles) {
      this.#ship(path, md5, dpkg);
    }
    this.#ownInfo(dpkg);
  }

  claims(): Claims {
    const [first] = this.#unlisted;
    if (first !== undefined) {
      this.#log.warn(
        `${DATABASE}/info lacks the lists of files of some packages ` +
          `(${this.#unlisted.length}, such as ${first}): ` +
          'their files are planned as if no package owned them',
      );
    }
    const folder = this.#tree.files.resolve(DATABASE, true)?.path ?? DATABASE;
    return {
      components: this.#components,
      strong: (entry) => this.#ownersOf(entry, folder),
      shipped: (path) => this.#shipped.get(path),
      missing: () => this.#missing,
    };
  }

  /** @param folder where the database lies, which image-based systems link to */
  #ownersOf(entry: FileEntry, folder: string): readonly string[] {
    const owners = this.#owners.of(entry.path);
    if (owners.length > 0) {
      return owners;
    }
    return entry.path.startsWith(`${folder}/`) ? [DPKGDB_COMPONENT] : this.#alternative(entry);
  }

  /** Returns the owners of what an alternative leads to: /usr/bin/awk, /etc/alternatives/awk. */
  #alternative(entry: FileEntry): readonly string[] {
    if (entry.type !== 'symlink') {
      return [];
    }
    const { files } = this.#tree;
    const isAlternative = deployedPath(entry.path).startsWith(ALTERNATIVES);
    if (!isAlternative && !entry.target.startsWith(ALTERNATIVES)) {
      return [];
    }
    const located = locateInstalled(files, entry.target);
    const next = located === undefined ? undefined : files.get(located);
    if (isAlternative || next?.type !== 'symlink') {
      return located === undefined ? [] : this.#owners.of(located);
    }
    const target = locateInstalled(files, next.target);
    return target === undefined ? [] : this.#owners.of(target);
  }

  #own(listed: string, dpkg: DpkgPackage): TreePath | undefined {
    const path = this.#diverted(listed, dpkg.name);
    const located = locateInstalled(this.#tree.files, path);
    if (located !== undefined) {
      this.#owners.add(located, componentId(dpkg));
    }
    return located;
  }

  #ship(listed: string, md5: string, dpkg: DpkgPackage): void {
    const located = this.#own(listed, dpkg);
    if (located === undefined) {
      this.#missing.push({ component: componentId(dpkg), file: { md5 } });
    } else {
      this.#shipped.set(located, { md5 });
    }
  }

  #ownInfo(dpkg: DpkgPackage): void {
    const paths = INFO_KINDS.flatMap((kind) => infoPaths(dpkg, kind));
    for (const path of [...paths, `${DATABASE}/status.d/${dpkg.name}`]) {
      this.#own(path, dpkg);
    }
  }

  async #info(dpkg: DpkgPackage, kind: string): Promise<string | undefined> {
    for (const path of infoPaths(dpkg, kind)) {
      const text = await readText(this.#tree, path);
      if (text !== undefined) {
        return text;
      }
    }
    return undefined;
  }
}

/** Returns the text of a file that the tree may lack. */
async function readText(tree: Tree, path: string): Promise<string | undefined> {
  const entry = tree.files.resolve(path, true);
  if (entry?.type !== 'file') {
    return undefined;
  }
  return Buffer.from(await tree.bytes(entry.path)).toString();
}

/** Returns where the database may hold a file of a package, the most specific place first. */
function infoPaths({ name, architecture }: DpkgPackage, kind: string): readonly string[] {
  return [
    `${DATABASE}/info/${name}:${architecture}.${kind}`,
    `${DATABASE}/info/${name}.${kind}`,
    `${DATABASE}/status.d/${name}.${kind}`,
  ];
}
