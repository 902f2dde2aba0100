/** One record of a package database. */
export interface HeaderRecord {
  /** The package number: unique, assigned on installation, growing. */
  readonly number: number;
  /** The header blob; a view of the database or a copy, never to be written to. */
  readonly bytes: Uint8Array;
}

/**
 * One on-disk format of the package database, opened. Contract, held by every implementation (fixtures.test.ts runs it over every fixture):
 * records come in ascending package number and can be walked any number of times; an entry that breaks the format
 * throws `CORRUPT` or `LIMIT` naming its place, nothing is skipped; the database's bytes are never written; memory
 * beyond the database itself (twice: with a log to apply) stays within the largest header.
 */
export interface Backend {
  readonly name: 'sqlite' | 'ndb' | 'bdb';
  records(): Iterable<HeaderRecord>;
}
