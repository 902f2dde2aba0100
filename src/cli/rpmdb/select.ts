/** Which packages a command of `ostrata rpmdb` is about. */
import type { Command } from 'commander';
import {
  findOwners,
  parseCapability,
  providesCapability,
  type RpmPackage,
  requiresCapability,
} from '../../../plugins/rpm/rpmdb/index.js';
import { globPattern, isGlob } from '../../bytes/glob.js';
import { OstrataError } from '../../errors.js';
import { repeated } from '../options/values.js';
import { sortedPackages } from './report.js';
import type { Source } from './source.js';

/** Values of `--whatprovides` and `--whatrequires`. */
export interface SelectionOptions {
  readonly whatprovides?: readonly string[] | undefined;
  readonly whatrequires?: readonly string[] | undefined;
}

/** `--whatprovides` and `--whatrequires`. */
export function selectionOptions(command: Command): Command {
  return command
    .option(
      '--whatprovides <capability>',
      "select the packages that provide this: NAME, 'NAME >= VERSION' or the path of a file " +
        '(repeatable)',
      repeated,
    )
    .option(
      '--whatrequires <capability>',
      'select the packages that require this, written the same way (repeatable)',
      repeated,
    );
}

/** Whether paths of the tree are looked up, besides those of the database. */
export function looksUpPaths({ whatprovides = [] }: SelectionOptions): boolean {
  return whatprovides.some(isPath);
}

/** One name, pattern or capability that was asked for. */
interface Criterion {
  readonly matches: (pkg: RpmPackage) => boolean;
  /** What to say if no package matches. */
  readonly complaint: string;
}

/** The packages that the user asks for. */
export class Selection {
  readonly #criteria: readonly Criterion[];
  readonly #unmet: Set<Criterion>;
  readonly #source: Source;

  constructor(source: Source, { whatprovides = [], whatrequires = [] }: SelectionOptions) {
    this.#source = source;
    this.#criteria = [
      ...source.args.map(named),
      ...whatprovides.map((text) => provider(text, source)),
      ...whatrequires.map(requirer),
    ];
    this.#unmet = new Set(this.#criteria);
  }

  /** Whether nothing was asked for: then all packages are selected. */
  get isEmpty(): boolean {
    return this.#criteria.length === 0;
  }

  /** Yields the packages that any criterion selects, in the order of the database. */
  *inDatabaseOrder(): Generator<RpmPackage> {
    const { packages } = this.#source;
    const matching = (pkg: RpmPackage) => ({
      pkg,
      met: this.#criteria.filter(({ matches }) => matches(pkg)),
    });
    for (const { pkg, met } of packages.map(packages.all(), matching)) {
      for (const criterion of met) {
        this.#unmet.delete(criterion);
      }
      if (this.isEmpty || met.length > 0) {
        yield pkg;
      }
    }
  }

  /** Returns the selected packages, sorted by name. */
  sorted(): RpmPackage[] {
    return sortedPackages(this.inDatabaseOrder());
  }

  /** Returns, for one argument or option after the other, the packages that it selects. */
  inGivenOrder(): readonly RpmPackage[] {
    const sorted = this.sorted();
    return this.#criteria.flatMap(({ matches }) => sorted.filter(matches));
  }

  /** Throws if a criterion has selected no package, so that the exit code shows it. */
  throwIfUnmet(): void {
    if (this.#unmet.size > 0) {
      const complaints = Array.from(this.#unmet, ({ complaint }) => complaint);
      throw new OstrataError('NOT_FOUND', `${complaints.join('; ')} (${this.#source.name})`);
    }
  }
}

/** Like rpm, compares a pattern with the name only, and anything else with each form of it. */
function named(wanted: string): Criterion {
  if (isGlob(wanted)) {
    const pattern = globPattern(wanted);
    return {
      matches: ({ name }) => pattern.test(name),
      complaint: `no installed package matches ${wanted}`,
    };
  }
  return {
    matches: (pkg) => namesOf(pkg).includes(wanted),
    complaint: `package ${wanted} is not installed`,
  };
}

/** Returns every form in which rpm accepts the name of a package. */
function namesOf({ name, version, release, arch, nevra, evr }: RpmPackage): readonly string[] {
  const names = [name, `${name}-${version}`, `${name}-${version}-${release}`, `${name}-${evr}`];
  return [...names, ...names.map((each) => `${each}.${arch}`), nevra];
}

function provider(text: string, { packages, tree }: Source): Criterion {
  const wanted = parseCapability(text);
  const owners = new Set<number>();
  if (isPath(text)) {
    const lookup = tree?.files ?? { resolve: () => undefined };
    const [answer] = findOwners(packages.all(), lookup, [text], packages.onError);
    for (const { number } of answer?.owners ?? []) {
      owners.add(number);
    }
  }
  return {
    matches: (pkg) => owners.has(pkg.number) || providesCapability(pkg, wanted),
    complaint: `no package provides ${text}`,
  };
}

function requirer(text: string): Criterion {
  const wanted = parseCapability(text);
  return {
    matches: (pkg) => requiresCapability(pkg, wanted),
    complaint: `no package requires ${text}`,
  };
}

function isPath(text: string): boolean {
  return text.startsWith('/');
}
