/**
 * Content source `apk`: files belong to the packages of Alpine's database; component ids are
 * `NAME.ARCH`, as those of RPM packages. The database itself is the component `apkdb`.
 */
import {
  type Claims,
  type ComponentFacts,
  type ContentSource,
  compareUtf8,
  type FileMap,
  type Logger,
  locateInstalled,
  type MissingFile,
  OstrataError,
  PathOwners,
  type RegularFile,
  type ShippedFile,
  type Tree,
  type TreePath,
} from '../../src/plugin.js';
import { type ApkPackage, parseInstalled } from './database.js';

/** The id of the component that holds the database. */
export const APKDB_COMPONENT = 'apkdb';
const DATABASE_FACTS: ComponentFacts = {
  name: APKDB_COMPONENT,
  source: APKDB_COMPONENT,
  packages: [],
  updateInterval: 0,
};
/** Where the database lies; the last one is for systems with a merged `/usr`. */
const DATABASES = ['/lib/apk/db/installed', '/usr/lib/apk/db/installed'];

export interface ApkOptions {
  /** Whether damaged packages are left out, with a warning. Otherwise the source throws. */
  readonly skipDamagedPackages?: boolean | undefined;
}

/** Makes the content source. */
export function apkSource(options: ApkOptions = {}): ContentSource {
  return {
    name: 'apk',
    priority: 22,
    detect: (files) => findDatabase(files) !== undefined,
    async load({ tree, log }) {
      const database = findDatabase(tree.files);
      if (database === undefined) {
        throw new OstrataError('NOT_FOUND', `${tree.name} has no apk database`);
      }
      const packages = await apkPackages(tree, log, options);
      log.info(`apk database ${database.path}: ${packages.size} packages`);
      return claimsOf(tree.files, packages, database.path);
    },
  };
}

/** Returns the packages of a tree by component id, in byte order; none without a database. */
export async function apkPackages(
  tree: Tree,
  log: Logger,
  options: ApkOptions = {},
): Promise<ReadonlyMap<string, ApkPackage>> {
  const database = findDatabase(tree.files);
  if (database === undefined) {
    return new Map();
  }
  const text = Buffer.from(await tree.bytes(database.path)).toString();
  return installedPackages(text, database.path, log, options);
}

/** Returns the file that lists all packages; undefined if there is none. */
export function findDatabase(files: FileMap): RegularFile | undefined {
  for (const path of DATABASES) {
    const entry = files.resolve(path, true);
    if (entry?.type === 'file') {
      return entry;
    }
  }
  return undefined;
}

/** Returns the packages by component id, in byte order. */
function installedPackages(
  text: string,
  database: string,
  log: Logger,
  { skipDamagedPackages = false }: ApkOptions,
): ReadonlyMap<string, ApkPackage> {
  const packages = new Map<string, ApkPackage>();
  for (const each of parseInstalled(text, database)) {
    if (!(each instanceof OstrataError)) {
      packages.set(`${each.name}.${each.architecture}`, each);
    } else if (skipDamagedPackages) {
      log.warn(`${each.message}; its files are planned as if no package owned them`);
    } else {
      const hint = '--skip-damaged-packages plans without damaged packages';
      throw new OstrataError('CORRUPT', `${each.message}; ${hint}`, { cause: each });
    }
  }
  return new Map([...packages].sort(([a], [b]) => compareUtf8(a, b)));
}

function claimsOf(
  files: FileMap,
  packages: ReadonlyMap<string, ApkPackage>,
  database: string,
): Claims {
  const owners = new PathOwners();
  const components = new Map([[APKDB_COMPONENT, DATABASE_FACTS]]);
  const shipped = new Map<TreePath, ShippedFile>();
  const missing: MissingFile[] = [];
  for (const [id, each] of packages) {
    components.set(id, factsOf(each));
    for (const { path, sha1 } of each.files) {
      const located = locateInstalled(files, path);
      if (located === undefined) {
        missing.push({ component: id, file: { sha1 } });
      } else {
        owners.add(located, id);
        shipped.set(located, { sha1 });
      }
    }
  }

  const directory = database.slice(0, database.lastIndexOf('/') + 1);
  return {
    components,
    strong: ({ path }) => (path.startsWith(directory) ? [APKDB_COMPONENT] : owners.of(path)),
    shipped: (path) => shipped.get(path),
    missing: () => missing,
  };
}

function factsOf(apk: ApkPackage): ComponentFacts {
  const { name, architecture, version, origin, size, buildTime } = apk;
  const nevra = `${name}-${version}.${architecture}`;
  return {
    name,
    source: origin,
    packages: [{ name, nevra, size, buildTime, changelogTimes: [] }],
  };
}
