/** What the three on-disk formats of the package database have in common. */
import { OstrataError } from '../../../src/errors.js';

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
 * - An entry that breaks the format is reported with its offset, and the walk continues after it.
 *   Nothing is skipped without a report.
 * - The bytes of the database are never written.
 * - Besides the database itself (twice, if it has a log) no more memory is used than for the
 *   largest header.
 */
export interface Backend {
  readonly name: 'sqlite' | 'ndb' | 'bdb';
  records(report: WalkReport): Iterable<HeaderRecord>;
}

/** Where a walk over the records reports damage. */
export interface WalkReport {
  /**
   * Called for an entry that breaks the format; `error` is `CORRUPT` or `LIMIT`. If the method
   * throws, the walk ends; if it returns, the walk continues after the entry.
   */
  damage(error: OstrataError): void;
  /** Something is unusual, but rpm lists no more packages than the walk gives. */
  warning(message: string): void;
}

/**
 * Returns what `body` returns. If it throws because of damage, reports that and returns undefined.
 */
export function attempt<T>(report: Pick<WalkReport, 'damage'>, body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    if (!isDamage(error)) {
      throw error;
    }
    report.damage(error);
    return undefined;
  }
}

/** Whether an error was caused by the bytes that were read. */
export function isDamage(error: unknown): error is OstrataError {
  return error instanceof OstrataError && (error.code === 'CORRUPT' || error.code === 'LIMIT');
}
