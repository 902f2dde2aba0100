/** The packages of a tree, whichever databases it has, in one form. */
import { ALPMDB_COMPONENT, alpmPackages } from '../../../plugins/alpm/index.js';
import { APKDB_COMPONENT, apkPackages, findDatabase } from '../../../plugins/apk/index.js';
import {
  compareDebianVersions,
  DPKG_STATUS,
  DPKGDB_COMPONENT,
  dpkgPackages,
} from '../../../plugins/dpkg/index.js';
import {
  compareEvr,
  findRpmdb,
  type Nevra,
  openTreeRpmdb,
  type Rpmdb,
  type RpmPackage,
} from '../../../plugins/rpm/rpmdb/index.js';
import type { InstalledVersion } from '../../components/package-changes.js';
import type { DatabaseKind } from '../../image/database-layers.js';
import type { Logger } from '../../log.js';
import { S_IFDIR, S_IFMT } from '../../ostree/objects/dirmeta.js';
import type { Tree } from '../../tree/tree.js';
import { SoundPackages } from '../rpmdb/damage.js';
import { rpmdbKind } from '../rpmdb/database-layers.js';

/** One installed package. */
export interface ListedPackage extends InstalledVersion {
  readonly kind: 'rpm' | 'dpkg' | 'apk' | 'alpm';
  /** Installed size in bytes, as the database records it. */
  readonly size: number;
  /** What the database says besides; undefined for other kinds. */
  readonly rpm?: RpmPackage | undefined;
  /** Returns the files that the package installs; undefined if the database does not list them. */
  readonly paths?: (() => readonly string[]) | undefined;
}

/** The packages of a tree. */
export interface PackageList {
  readonly packages: readonly ListedPackage[];
  /** Which packages are damaged; undefined without an RPM database. */
  readonly sound?: SoundPackages | undefined;
}

/** The databases that can be found in an image without reading all of it. */
export const DATABASE_KINDS: readonly DatabaseKind[] = [
  rpmdbKind(),
  {
    component: DPKGDB_COMPONENT,
    fileName: /(^|\/)dpkg\/status(\.d\/[^/]+)?$/,
    isWhole: (files) => files.resolve(DPKG_STATUS, true)?.type === 'file',
  },
  {
    component: APKDB_COMPONENT,
    fileName: /(^|\/)apk\/db\/installed$/,
    isWhole: (files) => findDatabase(files) !== undefined,
  },
  {
    component: ALPMDB_COMPONENT,
    fileName: /(^|\/)pacman\/local\/[^/]+\/desc$/,
    // Each layer may add packages.
    isWhole: () => false,
  },
];

/** Where package databases are: of a folder, nothing else has to be read to know its packages. */
export const DATABASE_FOLDERS = [
  '/usr/lib/sysimage',
  '/usr/share/rpm',
  '/var/lib/rpm',
  '/var/lib/dpkg',
  '/lib/apk/db',
  '/usr/lib/apk/db',
  '/var/lib/pacman/local',
];

/**
 * Reads all package databases of a tree; undefined if it has none. Damaged packages are left out
 * with a warning.
 */
export async function readPackages(tree: Tree, log: Logger): Promise<PackageList | undefined> {
  const options = { skipDamagedPackages: true };
  const packages: ListedPackage[] = [];
  for (const each of await dpkgPackages(tree, log, options)) {
    packages.push(listed('dpkg', each));
  }
  for (const each of (await apkPackages(tree, log, options)).values()) {
    const paths = () => each.files.map(({ path }) => path);
    packages.push({ ...listed('apk', each), paths });
  }
  for (const each of await alpmPackages(tree, log, options)) {
    packages.push(listed('alpm', each));
  }
  if (findRpmdb(tree.files) === undefined) {
    return packages.length > 0 ? { packages } : undefined;
  }
  const rpms = listRpmdb(await openTreeRpmdb(tree), log);
  return { ...rpms, packages: [...rpms.packages, ...packages] };
}

/** Lists the packages of an RPM database. */
export function listRpmdb(database: Rpmdb, log: Logger): PackageList {
  const sound = new SoundPackages(database, log);
  const packages = sound.map(sound.all(), (rpm): ListedPackage => {
    const { name, arch, evr, nevra, size } = rpm;
    const paths = () => {
      const [found = []] = sound.map([rpm], installedPaths);
      return found;
    };
    return { kind: 'rpm', name, arch, evr, nevra, size, rpm, paths };
  });
  return { packages: [...packages], sound };
}

interface ParsedPackage {
  readonly name: string;
  readonly architecture: string;
  readonly version: string;
  readonly size: number;
}

function listed(
  kind: ListedPackage['kind'],
  { name, architecture, version, size }: ParsedPackage,
): ListedPackage {
  const nevra = `${name}-${version}.${architecture}`;
  return { kind, name, arch: architecture, evr: version, nevra, size };
}

/** Orders versions as the package manager does; different kinds cannot be compared. */
export function compareListed(a: ListedPackage, b: ListedPackage): number {
  if (a.rpm !== undefined && b.rpm !== undefined) {
    return compareEvr(a.rpm, b.rpm);
  }
  if (a.kind === 'dpkg' && b.kind === 'dpkg') {
    return compareDebianVersions(a.evr, b.evr);
  }
  return compareEvr(evrOf(a), evrOf(b));
}

/**
 * pacman and apk order epoch, version and release as rpm does, but write in other ways what comes
 * before a release: https://man.archlinux.org/man/vercmp.8 and
 * https://wiki.alpinelinux.org/wiki/APKBUILD_Reference#pkgver
 */
function evrOf({ kind, name, evr }: ListedPackage): Nevra {
  const [, epoch = '0', version = '', release = ''] = EVR.exec(evr) ?? [];
  const beforeRelease = kind === 'apk' ? /_(?=alpha|beta|pre|rc)/g : /(?<=\d)(?=[a-z])/gi;
  return { name, epoch: Number(epoch), version: version.replace(beforeRelease, '~'), release };
}

/** `1:2.0-3` of pacman, `2.0-r3` of apk. */
const EVR = /^(?:(\d+):)?(.*?)(?:-r?([^-]*))?$/;

/** Links named by the content of programs, which are new in every build of a package. */
const BUILD_IDS = '/usr/lib/.build-id/';

function installedPaths(rpm: RpmPackage): readonly string[] {
  const found: string[] = [];
  for (const { path, mode } of rpm.files()) {
    const isDirectory = (mode & S_IFMT) === S_IFDIR;
    if (path !== undefined && !isDirectory && !path.startsWith(BUILD_IDS)) {
      found.push(path);
    }
  }
  return found;
}
