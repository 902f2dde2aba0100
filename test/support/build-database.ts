/** Makes `rpmdb.sqlite` databases from short descriptions of packages. */
import { createHash } from 'node:crypto';
import initSqlJs from 'sql.js';
import { FileFlag, Tag, TagType } from '../../plugins/rpm/rpmdb/index.js';
import { buildHeader, type HeaderEntry } from './build-header.js';

/** OpenPGP number of the algorithm. */
const SHA256 = 8;

const SQL = await initSqlJs();

export interface PackageSpec {
  readonly name: string;
  readonly version?: string;
  readonly arch?: string;
  /** The name of the source package. */
  readonly source?: string;
  readonly buildTime?: number;
  readonly changelogTimes?: readonly number[];
  /** Absolute paths, or more about files. */
  readonly files?: readonly (string | FileSpec)[];
}

interface FileSpec {
  readonly path: string;
  readonly ghost?: true;
  readonly state?: number;
  /** What the package ships; if no file of a package has content, no sizes are recorded. */
  readonly content?: string;
}

/** Makes a database that holds `packages` in the given order. */
export function buildDatabase(packages: readonly PackageSpec[]): Uint8Array {
  return databaseOfHeaders(packages.map(packageHeader));
}

/** Makes a database that holds header blobs; the numbers of the packages are their places. */
export function databaseOfHeaders(headers: readonly Uint8Array[]): Uint8Array {
  const database = new SQL.Database();
  database.run(
    'CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)',
  );
  for (const header of headers) {
    database.run('INSERT INTO Packages(blob) VALUES (?)', [header]);
  }
  const bytes = database.export();
  database.close();
  return bytes;
}

function packageHeader({
  name,
  version = '1',
  arch,
  source,
  buildTime,
  changelogTimes,
  files = [],
}: PackageSpec): Uint8Array {
  const text = (tag: number, value: string | undefined): HeaderEntry[] =>
    value === undefined ? [] : [[tag, TagType.STRING, [value]]];
  const entries = files.map((file) => (typeof file === 'string' ? { path: file } : file));
  const split = entries.map(({ path }) => path.lastIndexOf('/') + 1);
  const directories = [...new Set(entries.map(({ path }, i) => path.slice(0, split[i])))];
  const fileTags: HeaderEntry[] = [
    [Tag.FILESTATES, TagType.CHAR, entries.map(({ state = 0 }) => state)],
    [Tag.FILEFLAGS, TagType.INT32, entries.map(({ ghost }) => (ghost ? FileFlag.GHOST : 0))],
    [
      Tag.DIRINDEXES,
      TagType.INT32,
      entries.map(({ path }, i) => directories.indexOf(path.slice(0, split[i]))),
    ],
    [Tag.BASENAMES, TagType.STRING_ARRAY, entries.map(({ path }, i) => path.slice(split[i]))],
    [Tag.DIRNAMES, TagType.STRING_ARRAY, directories],
    ...contentTags(entries),
  ];
  return buildHeader([
    ...text(Tag.NAME, name),
    ...text(Tag.VERSION, version),
    ...text(Tag.RELEASE, '1'),
    ...(buildTime === undefined ? [] : [[Tag.BUILDTIME, TagType.INT32, [buildTime]] as const]),
    ...text(Tag.ARCH, arch),
    ...text(Tag.SOURCERPM, source && `${source}-${version}-1.src.rpm`),
    ...(changelogTimes ? [[Tag.CHANGELOGTIME, TagType.INT32, changelogTimes] as const] : []),
    ...(files.length > 0 ? fileTags : []),
  ]);
}

function contentTags(files: readonly FileSpec[]): readonly HeaderEntry[] {
  if (files.every(({ content }) => content === undefined)) {
    return [];
  }
  const sizes = files.map(({ content = '' }) => Buffer.byteLength(content));
  const digests = files.map(({ content = '' }) =>
    createHash('sha256').update(content).digest('hex'),
  );
  return [
    [Tag.FILESIZES, TagType.INT32, sizes],
    [Tag.FILEDIGESTS, TagType.STRING_ARRAY, digests],
    [Tag.FILEDIGESTALGO, TagType.INT32, [SHA256]],
  ];
}
