/** Finds the package databases in rpmdb-fixtures and what the real rpm printed of each. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RpmdbFiles } from '../../plugins/rpm/rpmdb/index.js';
import { repoRoot } from './root.js';

/** A package as the real rpm printed it; rpmdb-fixtures/expected.mjs writes these files. */
export interface ExpectedPackage {
  readonly nevra: string;
  readonly name: string;
  readonly epoch: number | null;
  readonly version: string;
  readonly release: string;
  readonly arch: string | null;
  readonly sourceRpm: string | null;
  readonly size: number;
  readonly buildTime: number | null;
  readonly installTime: number | null;
  readonly modularityLabel: string | null;
  readonly digestAlgorithm: number | null;
  readonly changelogTimes: readonly number[];
  readonly files: readonly ExpectedFile[];
}
/** Text, or in hexadecimal the bytes of text that is not UTF-8. */
export type ExpectedText = string | { readonly hex: string };
export interface ExpectedFile {
  readonly path: ExpectedText;
  readonly size: number;
  readonly mode: number;
  readonly digest: string;
  readonly flags: number;
  readonly user: string;
  readonly group: string;
  readonly linkTo: ExpectedText;
  readonly state: number;
}

export interface Fixture {
  readonly name: string;
  readonly directory: string;
  /** The backend whose file it is. */
  readonly backend: 'sqlite' | 'ndb' | 'bdb';
  readonly expected: readonly ExpectedPackage[];
  /** Reads the files of the database; each call returns new buffers. */
  read(): RpmdbFiles;
}

const BACKENDS = { 'rpmdb.sqlite': 'sqlite', 'Packages.db': 'ndb', Packages: 'bdb' } as const;

/** Returns every folder of rpmdb-fixtures that has an `expected.json`, sorted by name. */
export function discoverFixtures(): Fixture[] {
  const root = join(repoRoot, 'rpmdb-fixtures');
  return readdirSync(root)
    .filter((name) => existsSync(join(root, name, 'expected.json')))
    .sort()
    .map((name) => loadFixture(name, join(root, name)));
}

function loadFixture(name: string, directory: string): Fixture {
  const found = Object.entries(BACKENDS).find(([file]) => existsSync(join(directory, file)));
  if (found === undefined) {
    throw new Error(`${directory}: no database`);
  }
  const [file, backend] = found;
  const optional = (path: string) => (existsSync(path) ? readFileSync(path) : undefined);
  const database = join(directory, file);
  return {
    name,
    directory,
    backend,
    expected: JSON.parse(readFileSync(join(directory, 'expected.json'), 'utf8')),
    read: () => ({
      database: readFileSync(database),
      wal: optional(`${database}-wal`),
      journal: optional(`${database}-journal`),
      name,
    }),
  };
}
