/** How `ostrata rpmdb` continues after damaged packages. */
import {
  type HeaderDigest,
  isDamage,
  type Rpmdb,
  type RpmPackage,
} from '../../../plugins/rpm/rpmdb/index.js';
import { OstrataError, wrapError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { counted } from '../output/format.js';

/**
 * Reads the packages of a database so that one that is damaged does not hide the others: it is left
 * out, with a warning.
 */
export class SoundPackages {
  readonly #database: Rpmdb;
  readonly #log: Logger;
  /** What is damaged: packages by their number, parts of the database by their message. */
  readonly #damaged = new Map<number | string, OstrataError>();
  /** How many of the headers that were read have a right digest, a wrong one, or none. */
  readonly digests: Record<HeaderDigest['state'], number> = { right: 0, wrong: 0, missing: 0 };

  constructor(database: Rpmdb, log: Logger) {
    this.#database = database;
    this.#log = log;
  }

  /**
   * All packages whose headers can be read and have no wrong digest; broken entries throw when they
   * are used.
   */
  all(): Iterable<RpmPackage> {
    return this.#database.packages({
      onError: this.onError,
      onDigest: (state) => {
        this.digests[state]++;
      },
      onWarning: (message) => this.#log.warn(message),
    });
  }

  /** Yields what `read` returns for each package, without the packages for which it fails. */
  *map<T>(packages: Iterable<RpmPackage>, read: (pkg: RpmPackage) => T): Generator<T> {
    for (const pkg of packages) {
      const result = this.#attempt(pkg, read);
      if (result !== undefined) {
        yield result.value;
      }
    }
  }

  /** Warns of damage. */
  readonly onError = (error: OstrataError): void => {
    this.#add(error.message, error);
  };

  /** Throws if anything was left out, so that the exit code shows it. */
  throwIfDamaged(): void {
    const errors = [...this.#damaged.values()];
    if (errors.length > 0) {
      throw new OstrataError(
        'CORRUPT',
        `the package database is damaged in ${counted(errors.length, 'place')}; ` +
          'the packages there are missing in the output',
        { cause: new AggregateError(errors) },
      );
    }
  }

  #attempt<T>(pkg: RpmPackage, read: (pkg: RpmPackage) => T): { readonly value: T } | undefined {
    try {
      return { value: read(pkg) };
    } catch (error) {
      if (!isDamage(error)) {
        throw error;
      }
      this.#add(pkg.number, wrapError(`package ${pkg.nevra}`, error));
      return undefined;
    }
  }

  /** Warns of each damaged package or part only once. */
  #add(place: number | string, error: OstrataError): void {
    if (!this.#damaged.has(place)) {
      this.#damaged.set(place, error);
      this.#log.warn(error.message);
    }
  }
}
