/**
 * Says which of many patterns match a text, in one pass over its bytes. The deterministic automaton
 * of all patterns together is made while texts are matched, so that no pattern can make a match
 * slow by backtracking.
 */
import { OstrataError } from '../errors.js';
import type { Instruction, Program } from './program.js';

/**
 * Bounds the memory for states: how many instructions wait in all of them together. When there are
 * more, all states are forgotten and made again.
 */
const MAX_WAITING = 1 << 22;
/**
 * Bounds the time of all matches together: how often instructions are looked at to make states.
 * For a refpolicy and 100,000 paths that is two million times.
 */
const MAX_STEPS = 1 << 25;
const LINE_FEED = 0x0a;

/** Stands for an instruction that does not exist. */
const NOTHING: Instruction = { opcode: 'start', operand: -1, next: -1, other: -1 };

/** A state of the deterministic automaton. */
interface State {
  /** The instructions that wait for a byte or for the end, and those that have accepted. */
  readonly waiting: Int32Array;
  /** The states that follow, by the class of the next byte. */
  readonly following: (State | undefined)[];
  /** The patterns that match a text that ends here, as far as known. */
  accepted: readonly number[] | undefined;
}

/** Where in the text instructions are followed. */
interface Position {
  readonly isAtStart: boolean;
  readonly isAtEnd: boolean;
}

const START: Position = { isAtStart: true, isAtEnd: false };
const INSIDE: Position = { isAtStart: false, isAtEnd: false };
const END: Position = { isAtStart: false, isAtEnd: true };

export class PatternMatcher {
  readonly #program: Program;
  /** The class of each byte: no pattern tells the bytes of a class apart. */
  readonly #classes: Uint8Array;
  /** In which call of {@link #follow} an instruction was last seen. */
  readonly #seen: Int32Array;
  /** Where patterns begin that can also match behind the start of a text. */
  readonly #unanchored: Int32Array;
  readonly #states = new Map<string, State>();
  readonly #classCount: number;
  #initial: State;
  /** How many instructions wait in all states, and how many classes these have. */
  #waiting = 0;
  #calls = 0;
  #steps = 0;

  /** @param program has all of its patterns */
  constructor(program: Program) {
    this.#program = program;
    this.#classes = program.sets.classes();
    this.#classCount = Math.max(...this.#classes) + 1;
    this.#seen = new Int32Array(program.instructions.length);
    this.#unanchored = this.#follow(program.starts, INSIDE);
    this.#initial = this.#state(this.#follow(program.starts, START));
  }

  /**
   * Returns the numbers of the patterns that match somewhere in `text`, in descending order. Throws
   * `LIMIT` if all calls together need too much time.
   */
  match(text: Uint8Array): readonly number[] {
    let previous = this.#initial;
    let state = this.#initial;
    for (const byte of text) {
      previous = state;
      const byteClass = this.#classes[byte] ?? 0;
      state = state.following[byteClass] ?? this.#next(state, byte);
    }
    state.accepted ??= this.#acceptedBy(state.waiting);
    if (text.at(-1) !== LINE_FEED) {
      return state.accepted;
    }
    const accepted = new Set([...this.#beforeLineFeed(previous), ...state.accepted]);
    return [...accepted].sort((a, b) => b - a);
  }

  #next(state: State, byte: number): State {
    const waiting = this.#after(state.waiting, byte);
    const next = this.#state(waiting);
    state.following[this.#classes[byte] ?? 0] = next;
    return next;
  }

  /** Returns the instructions that wait after `byte`, if `waiting` did before. */
  #after(waiting: Int32Array, byte: number): Int32Array {
    this.#count(waiting.length);
    const { sets } = this.#program.sets;
    const next = [...this.#unanchored];
    for (const number of waiting) {
      const { opcode, operand, next: following } = this.#instruction(number);
      if (opcode === 'accept') {
        next.push(number);
      } else if (opcode === 'bytes' && sets[operand]?.[byte] === 1) {
        next.push(following);
      }
    }
    return this.#follow(next, INSIDE);
  }

  /** `$` also matches before a line feed that ends the text. */
  #beforeLineFeed({ waiting }: State): readonly number[] {
    const behindEnd = this.#follow(waiting, END);
    return this.#acceptedBy(this.#after(behindEnd, LINE_FEED));
  }

  /** Returns the patterns that have matched if the text ends, in descending order. */
  #acceptedBy(waiting: Int32Array): readonly number[] {
    const accepted: number[] = [];
    for (const number of this.#follow(waiting, END)) {
      const { opcode, operand } = this.#instruction(number);
      if (opcode === 'accept') {
        accepted.push(operand);
      }
    }
    return accepted.sort((a, b) => b - a);
  }

  /** Returns the instructions that are reached from `numbers` without a byte, in their order. */
  #follow(numbers: Iterable<number>, { isAtStart, isAtEnd }: Position): Int32Array {
    const call = ++this.#calls;
    const reached: number[] = [];
    const open = [...numbers];
    for (let number = open.pop(); number !== undefined; number = open.pop()) {
      if (this.#seen[number] === call) {
        continue;
      }
      this.#seen[number] = call;
      this.#count(1);
      const { opcode, next, other } = this.#instruction(number);
      if (opcode === 'split') {
        open.push(next, other);
      } else if ((opcode === 'start' && isAtStart) || (opcode === 'end' && isAtEnd)) {
        open.push(next);
      } else if (opcode !== 'start') {
        reached.push(number);
      }
    }
    return Int32Array.from(reached).sort();
  }

  #state(waiting: Int32Array): State {
    const key = waiting.join();
    const known = this.#states.get(key);
    if (known !== undefined) {
      return known;
    }
    const state: State = { waiting, following: [], accepted: undefined };
    this.#waiting += waiting.length + this.#classCount;
    if (this.#waiting > MAX_WAITING) {
      this.#waiting = 0;
      this.#states.clear();
      // The initial state refers to all others.
      this.#initial = { ...this.#initial, following: [] };
    }
    this.#states.set(key, state);
    return state;
  }

  #instruction(number: number): Instruction {
    return this.#program.instructions[number] ?? NOTHING;
  }

  #count(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) {
      throw new OstrataError('LIMIT', `matching its patterns takes more than ${MAX_STEPS} steps`);
    }
  }
}
