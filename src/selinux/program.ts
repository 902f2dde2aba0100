/** Compiles patterns to one program for {@link PatternMatcher}: a nondeterministic automaton. */
import { must, OstrataError } from '../errors.js';
import { ByteSets } from './byte-set.js';
import type { Pattern } from './pattern.js';

/** Bounds the memory for patterns; the patterns of a refpolicy take 100,000 instructions. */
const MAX_INSTRUCTIONS = 1 << 20;

/** An instruction; the numbers of others are indexes into the program. */
export interface Instruction {
  /**
   * `bytes` takes one byte, `split` goes on in two places, `start` and `end` stand for `^` and `$`,
   * and with `accept` a pattern has matched.
   */
  readonly opcode: 'bytes' | 'split' | 'start' | 'end' | 'accept';
  /** `bytes`: the number of the set. `accept`: the number of the pattern. */
  readonly operand: number;
  /** The instruction that follows. */
  next: number;
  /** `split`: another instruction that follows. */
  readonly other: number;
}

type Repeat = Extract<Pattern, { type: 'repeat' }>;

/** The program of patterns, which are numbered from 0 in the order they are added. */
export class Program {
  readonly instructions: Instruction[] = [];
  readonly sets = new ByteSets();
  /** The first instruction of each pattern. */
  readonly starts: number[] = [];
  /** How often a pattern or a part of one was compiled. */
  #steps = 0;

  /** Adds a pattern and returns its number. Throws `LIMIT` if the program becomes too large. */
  add(pattern: Pattern): number {
    const number = this.starts.length;
    const accept = this.#emit({ opcode: 'accept', operand: number });
    const start = this.#compile(pattern, accept);
    this.starts.push(start);
    return number;
  }

  #emit({ opcode, operand = -1, next = -1, other = -1 }: Emitted): number {
    const number = this.instructions.push({ opcode, operand, next, other }) - 1;
    this.#count();
    return number;
  }

  /** Compiles `pattern` so that `next` follows it; returns its first instruction. */
  #compile(pattern: Pattern, next: number): number {
    // An empty group that is repeated often emits nothing, but takes time.
    this.#count();
    switch (pattern.type) {
      case 'bytes':
        return this.#emit({ opcode: 'bytes', operand: this.sets.numberOf(pattern.set), next });
      case 'sequence':
        return pattern.items.reduceRight((after, item) => this.#compile(item, after), next);
      case 'choice':
        return this.#choice(pattern.options, next);
      case 'repeat':
        return this.#repeat(pattern, next);
      default:
        return this.#emit({ opcode: pattern.type, next });
    }
  }

  #choice(options: readonly Pattern[], next: number): number {
    const entries = options.map((option) => this.#compile(option, next));
    return entries.reduceRight((other, entry) =>
      this.#emit({ opcode: 'split', next: entry, other }),
    );
  }

  #repeat({ item, min, max }: Repeat, next: number): number {
    const isBounded = max !== Number.POSITIVE_INFINITY;
    let entry = isBounded ? next : this.#loop(item, next);
    for (let count = min; isBounded && count < max; count++) {
      const again = this.#compile(item, entry);
      entry = this.#emit({ opcode: 'split', next: again, other: next });
    }
    for (let count = 0; count < min; count++) {
      entry = this.#compile(item, entry);
    }
    return entry;
  }

  /** Any number of times. */
  #loop(item: Pattern, next: number): number {
    const loop = this.#emit({ opcode: 'split', other: next });
    const entry = this.#compile(item, loop);
    must(this.instructions[loop], 'the loop').next = entry;
    return loop;
  }

  #count(): void {
    if (++this.#steps > 2 * MAX_INSTRUCTIONS) {
      throw new OstrataError('LIMIT', `patterns take more than ${MAX_INSTRUCTIONS} instructions`);
    }
  }
}

type Emitted = Pick<Instruction, 'opcode'> & Partial<Instruction>;
