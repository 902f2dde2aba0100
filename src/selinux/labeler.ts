/** Gives paths the labels of file contexts, in the order of libselinux's selabel_lookup(3). */
import { inContext } from '../errors.js';
import { S_IFMT } from '../ostree/objects/dirmeta.js';
import type { FileContext, Substitution } from './file-contexts.js';
import { literalFolder, literalPath } from './literal.js';
import { PatternMatcher } from './matcher.js';
import { parsePattern } from './pattern.js';
import { Program } from './program.js';

/** Stands for the label of files that get none. */
const NO_LABEL = '<<none>>';

/** A file context, and the folder below which it is looked for. */
interface Rule {
  readonly context: FileContext;
  readonly folder: string;
}

/**
 * Labels paths by file contexts. A context whose pattern is one path precedes all patterns; among
 * equals, the last one decides.
 */
export class Labeler {
  /** Contexts for single paths, in their order. */
  readonly #literals = new Map<string, FileContext[]>();
  readonly #rules: Rule[] = [];
  readonly #matcher: PatternMatcher;
  readonly #substitutions: readonly (readonly Substitution[])[];

  /**
   * Throws what {@link parsePattern} throws.
   * @param contexts in the order of the files
   * @param substitutions are applied one after the other; of each, the last line that fits
   */
  constructor(
    contexts: readonly FileContext[],
    substitutions: readonly (readonly Substitution[])[],
  ) {
    const program = new Program();
    for (const context of contexts) {
      inContext(context.origin, () => this.#add(context, program));
    }
    this.#matcher = new PatternMatcher(program);
    this.#substitutions = substitutions;
  }

  #add(context: FileContext, program: Program): void {
    const { pattern } = context;
    const literal = literalPath(pattern);
    if (literal === undefined) {
      program.add(parsePattern(pattern));
      this.#rules.push({ context, folder: literalFolder(pattern) });
      return;
    }
    const contexts = this.#literals.get(literal) ?? [];
    contexts.push(context);
    this.#literals.set(literal, contexts);
  }

  /** As `labelOf` of a policy, but also for `/proc`, which ostree takes for another path. */
  labelOf(path: string, mode: number): string | undefined {
    const substituted = this.#substituted(cleaned(path));
    const context = this.#literal(substituted, mode) ?? this.#matching(substituted, mode);
    return context?.label === NO_LABEL ? undefined : context?.label;
  }

  #substituted(path: string): string {
    let substituted = path;
    for (const substitutions of this.#substitutions) {
      const last = substitutions.findLast(({ from }) => isAtOrBelow(substituted, from));
      if (last !== undefined) {
        const rest = substituted.slice(last.from.length);
        substituted = last.to === '/' && rest !== '' ? rest : last.to + rest;
      }
    }
    return substituted;
  }

  #literal(path: string, mode: number): FileContext | undefined {
    return this.#literals.get(path)?.findLast((context) => isFor(context, mode));
  }

  #matching(path: string, mode: number): FileContext | undefined {
    for (const number of this.#matcher.match(Buffer.from(path))) {
      const rule = this.#rules[number];
      if (rule !== undefined && isFor(rule.context, mode) && path.startsWith(rule.folder)) {
        return rule.context;
      }
    }
    return undefined;
  }
}

/** One slash for several, and none at the end. */
function cleaned(path: string): string {
  const single = path.replace(/\/{2,}/g, '/');
  return single.length > 1 && single.endsWith('/') ? single.slice(0, -1) : single;
}

function isAtOrBelow(path: string, folder: string): boolean {
  const hasPrefix = path.startsWith(folder);
  return hasPrefix && (path.length === folder.length || path[folder.length] === '/');
}

function isFor({ fileType }: FileContext, mode: number): boolean {
  const type = mode & S_IFMT;
  return fileType === undefined || type === 0 || fileType === type;
}
