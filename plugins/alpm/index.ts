/**
 * Content source `alpm`: files belong to the packages of pacman's database; component ids are
 * `NAME.ARCH`, as those of RPM packages. The component `alpmdb` holds the descriptions of packages,
 * which name the time of installation; the lists of files belong to their packages.
 */
import {
  type Claims,
  type ComponentFacts,
  type ContentSource,
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
import { type AlpmPackage, parseDesc, parseFiles, parseMtree } from './database.js';

/** The id of the component that holds the database. */
export const ALPMDB_COMPONENT = 'alpmdb';
const DATABASE_FACTS: ComponentFacts = {
  name: ALPMDB_COMPONENT,
  source: ALPMDB_COMPONENT,
  packages: [],
  updateInterval: 0,
};
/** Where the database lies; image-based systems move it to `/usr`. */
const DATABASES = ['/var/lib/pacman/local', '/usr/lib/sysimage/lib/pacman/local'];
/** What the database holds of a package that changes only with the package. */
const OWN_FILES = ['files', 'mtree', 'install', 'changelog'];

export interface AlpmOptions {
  /** Whether damaged packages are left out, with a warning. Otherwise the source throws. */
  readonly skipDamagedPackages?: boolean | undefined;
}

/** Makes the content source. */
export function alpmSource(options: AlpmOptions = {}): ContentSource {
  return {
    name: 'alpm',
    priority: 23,
    detect: (files) => packageFolders(files).length > 0,
    async load({ tree, log, signal }) {
      const database = new AlpmDatabase(tree);
      const folders = packageFolders(tree.files);
      for (const folder of folders) {
        signal.throwIfAborted();
        await skippingDamage(() => database.add(folder), log, options);
      }
      log.info(`pacman database: ${folders.length} packages`);
      return database.claims();
    },
  };
}

/** Returns the packages of a tree; none without a database. */
export async function alpmPackages(
  tree: Tree,
  log: Logger,
  options: AlpmOptions = {},
): Promise<readonly AlpmPackage[]> {
  const packages: AlpmPackage[] = [];
  for (const folder of packageFolders(tree.files)) {
    const read = async () => {
      packages.push(await describedPackage(tree, folder));
    };
    await skippingDamage(read, log, options);
  }
  return packages;
}

async function describedPackage(tree: Tree, folder: TreePath): Promise<AlpmPackage> {
  const desc: TreePath = `${folder}/desc`;
  const bytes = await tree.bytes(desc);
  return parseDesc(Buffer.from(bytes).toString(), desc);
}

/** Returns the folders of packages in byte order; each has a file `desc`. */
function packageFolders(files: FileMap): readonly TreePath[] {
  for (const path of DATABASES) {
    const local = files.resolve(path, true);
    if (local?.type !== 'directory') {
      continue;
    }
    const folders: TreePath[] = [];
    for (const entry of files) {
      const isBelow = entry.type === 'directory' && entry.path.startsWith(`${local.path}/`);
      if (isBelow && files.get(`${entry.path}/desc`)?.type === 'file') {
        folders.push(entry.path);
      }
    }
    return folders;
  }
  return [];
}

async function skippingDamage(
  body: () => Promise<void>,
  log: Logger,
  { skipDamagedPackages = false }: AlpmOptions,
): Promise<void> {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof OstrataError) || error.code !== 'CORRUPT') {
      throw error;
    }
    if (!skipDamagedPackages) {
      const hint = '--skip-damaged-packages plans without damaged packages';
      throw new OstrataError('CORRUPT', `${error.message}; ${hint}`, { cause: error });
    }
    log.warn(`${error.message}; its files are planned as if no package owned them`);
  }
}

/** What the packages of a tree own, collected package by package. */
class AlpmDatabase {
  readonly #tree: Tree;
  readonly #components = new Map([[ALPMDB_COMPONENT, DATABASE_FACTS]]);
  readonly #owners = new PathOwners();
  readonly #shipped = new Map<TreePath, ShippedFile>();
  readonly #missing: MissingFile[] = [];

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  async add(folder: TreePath): Promise<void> {
    const alpm = await describedPackage(this.#tree, folder);
    const files = parseFiles(Buffer.from(await this.#bytes(`${folder}/files`)).toString());
    const mtree: TreePath = `${folder}/mtree`;
    const mtreeBytes = await this.#bytes(mtree);
    const recorded = mtreeBytes.length === 0 ? [] : parseMtree(mtreeBytes, mtree);

    const id = `${alpm.name}.${alpm.architecture}`;
    this.#components.set(id, factsOf(alpm));
    for (const path of [...files, ...OWN_FILES.map((name) => `${folder}/${name}`)]) {
      const located = locateInstalled(this.#tree.files, path);
      if (located !== undefined) {
        this.#owners.add(located, id);
      }
    }
    for (const { path, ...file } of recorded) {
      const located = locateInstalled(this.#tree.files, path);
      if (located === undefined) {
        this.#missing.push({ component: id, file });
      } else {
        this.#shipped.set(located, file);
      }
    }
    this.#owners.add(`${folder}/desc`, ALPMDB_COMPONENT);
  }

  claims(): Claims {
    const folders = DATABASES.map((path) => this.#tree.files.resolve(path, true)?.path ?? path);
    return {
      components: this.#components,
      strong: ({ path }) => {
        const owners = this.#owners.of(path);
        const isDatabase = folders.some((folder) => path.startsWith(`${folder}/`));
        return owners.length === 0 && isDatabase ? [ALPMDB_COMPONENT] : owners;
      },
      shipped: (path) => this.#shipped.get(path),
      missing: () => this.#missing,
    };
  }

  /** Returns the bytes of a file that a package may lack; then none. */
  async #bytes(path: TreePath): Promise<Uint8Array> {
    const isFile = this.#tree.files.get(path)?.type === 'file';
    return isFile ? this.#tree.bytes(path) : new Uint8Array();
  }
}

function factsOf(alpm: AlpmPackage): ComponentFacts {
  const { name, architecture, version, base, size, buildTime } = alpm;
  const nevra = `${name}-${version}.${architecture}`;
  return {
    name,
    source: base,
    packages: [{ name, nevra, size, buildTime, changelogTimes: [] }],
  };
}
