/** What the three on-disk formats of the package database have in common. */

/** One record of a package database. */
export interface HeaderRecord {
  /** The package number: unique, assigned on installation, growing. */
  readonly number: number;
  /** The header blob. It may be a view of the database: never write to it. */
  readonly bytes: Uint8Array;
}

/**
 * An open package database of one format. Every implementation guarantees, and fixtures.test.ts
 * checks:
 *
 * - Records come in ascending order of package numbers and can be walked any number of times.
 * - An entry that breaks the format throws `CORRUPT` or `LIMIT` and names its place. Nothing is
 *   skipped.
 * - The bytes of the database are never written.
 * - Besides the database itself (twice, if it has a log) no more memory is used than for the
 *   largest header.
 */
export interface Backend {
  readonly name: 'sqlite' | 'ndb' | 'bdb';
  records(): Iterable<HeaderRecord>;
}
