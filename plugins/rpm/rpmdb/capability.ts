/**
 * What packages provide and require: a name, or a name with a range of versions. Spec:
 * https://rpm-software-management.github.io/rpm/manual/dependencies.html
 */
import { OstrataError } from '../../../src/errors.js';
import { byteString } from './header.js';
import { compareVersions } from './nevra.js';
import type { RpmPackage } from './package.js';
import { Tag } from './tags.js';

/** Bits of a comparison (rpm's rpmsenseFlags_e). */
const LESS = 1 << 1;
const GREATER = 1 << 2;
const EQUAL = 1 << 3;

const SENSES: ReadonlyMap<string, number> = new Map([
  ['<', LESS],
  ['<=', LESS | EQUAL],
  ['=', EQUAL],
  ['==', EQUAL],
  ['>=', GREATER | EQUAL],
  ['>', GREATER],
]);

/** A range of versions of a named thing. Strings have one character per byte. */
export interface Capability {
  readonly name: string;
  /** How the version compares: bits of rpm's RPMSENSE. 0 for every version. */
  readonly sense: number;
  /** `[epoch:]version[-release]`; empty for every version. */
  readonly evr: string;
}

/**
 * Parses `NAME` or `NAME OP [EPOCH:]VERSION[-RELEASE]`, where OP is one of `<`, `<=`, `=`, `>=` and
 * `>`. A rich dependency (`(a if b)`) is a name. Throws `USAGE` for empty text.
 */
export function parseCapability(text: string): Capability {
  const bytes = byteString(Buffer.from(text.trim()));
  if (bytes === '') {
    throw new OstrataError('USAGE', 'expected a capability: NAME or NAME OP VERSION');
  }
  const [, name, sign = '', evr = ''] = /^([^(].*?)\s+([<=>]{1,2})\s+(\S+)$/s.exec(bytes) ?? [];
  const sense = SENSES.get(sign);
  return name === undefined || sense === undefined
    ? { name: bytes, sense: 0, evr: '' }
    : { name, sense, evr };
}

/** Whether a version of `wanted` is among what the package provides, as rpm decides it. */
export function providesCapability({ header }: RpmPackage, wanted: Capability): boolean {
  const names = header.byteStrings(Tag.PROVIDENAME) ?? [];
  if (!names.includes(wanted.name)) {
    return false;
  }
  const flags = header.numbers(Tag.PROVIDEFLAGS);
  const evrs = header.byteStrings(Tag.PROVIDEVERSION);
  return names.some((name, i) =>
    overlaps({ name, sense: flags?.[i] ?? 0, evr: evrs?.[i] ?? '' }, wanted),
  );
}

/**
 * Whether something that the package requires accepts a version of `wanted`. Every operand of a
 * rich dependency counts, as in `rpm -q --whatrequires`.
 */
export function requiresCapability({ header }: RpmPackage, wanted: Capability): boolean {
  const names = header.byteStrings(Tag.REQUIRENAME) ?? [];
  if (!names.some((name) => name.includes(wanted.name))) {
    return false;
  }
  const flags = header.numbers(Tag.REQUIREFLAGS);
  const evrs = header.byteStrings(Tag.REQUIREVERSION);
  return names.some((name, i) => {
    const whole = { name, sense: flags?.[i] ?? 0, evr: evrs?.[i] ?? '' };
    const operands = name.startsWith('(') ? richOperands(name) : [];
    return [whole, ...operands].some((required) => overlaps(required, wanted));
  });
}

/** Words between the operands of a rich dependency. */
const RICH_WORDS = new Set(['and', 'or', 'if', 'else', 'with', 'without', 'unless']);

/** Returns the operands of a rich dependency, e.g. a and b of `(a >= 2 if b)`. */
function richOperands(text: string): Capability[] {
  const operands: Capability[] = [];
  let sense = 0;
  for (const token of text.split(/\s+/)) {
    const word = withoutOuterParentheses(token);
    const last = operands.at(-1);
    const wordSense = SENSES.get(word);
    if (wordSense !== undefined) {
      sense = wordSense;
    } else if (sense !== 0 && last !== undefined) {
      operands[operands.length - 1] = { name: last.name, sense, evr: word };
      sense = 0;
    } else if (word !== '' && !RICH_WORDS.has(word)) {
      operands.push({ name: word, sense: 0, evr: '' });
    }
  }
  return operands;
}

/** Removes parentheses of the expression; those of a name such as `libc(x86-64)` are balanced. */
function withoutOuterParentheses(token: string): string {
  const word = token.replace(/^\(+/, '');
  let depth = 0;
  for (let i = 0; i < word.length; i++) {
    if (word[i] === '(') {
      depth++;
    } else if (word[i] === ')') {
      depth--;
    }
    if (depth < 0) {
      return word.slice(0, i);
    }
  }
  return word;
}

/** Whether two ranges share a version (rpm's rpmdsCompare). */
function overlaps(a: Capability, b: Capability): boolean {
  if (a.name !== b.name) {
    return false;
  }
  const isAny = ({ sense, evr }: Capability) =>
    (sense & (LESS | GREATER | EQUAL)) === 0 || evr === '';
  if (isAny(a) || isAny(b)) {
    return true;
  }

  const [left, right] = [parseEvr(a.evr), parseEvr(b.evr)];
  const order =
    compareVersions(left.epoch, right.epoch) || compareVersions(left.version, right.version);
  if (order === 0) {
    return overlapAtVersion(left, right, a.sense, b.sense);
  }
  return order < 0
    ? ((a.sense & GREATER) | (b.sense & LESS)) !== 0
    : ((a.sense & LESS) | (b.sense & GREATER)) !== 0;
}

/** Decides by the releases. A range without one includes all releases if it includes its end. */
function overlapAtVersion(left: Evr, right: Evr, a: number, b: number): boolean {
  const hasBoth = left.release !== '' && right.release !== '';
  if (!hasBoth && ((left.release !== '' && b & EQUAL) || (right.release !== '' && a & EQUAL))) {
    return true;
  }
  const order = hasBoth ? compareVersions(left.release, right.release) : 0;
  if (order === 0) {
    return (a & b & (LESS | GREATER | EQUAL)) !== 0;
  }
  return order < 0 ? ((a & GREATER) | (b & LESS)) !== 0 : ((a & LESS) | (b & GREATER)) !== 0;
}

interface Evr {
  readonly epoch: string;
  readonly version: string;
  /** Empty if the text has none. */
  readonly release: string;
}

/** Splits `[epoch:]version[-release]`; a missing epoch is 0. */
function parseEvr(text: string): Evr {
  const [, epoch, rest = text] = /^(\d*):(.*)$/s.exec(text) ?? [];
  const dash = rest.lastIndexOf('-');
  return {
    epoch: epoch || '0',
    version: dash === -1 ? rest : rest.slice(0, dash),
    release: dash === -1 ? '' : rest.slice(dash + 1),
  };
}
