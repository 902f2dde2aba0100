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

const ANY_SENSE = LESS | GREATER | EQUAL;
/** `NAME OP VERSION`, unless it is a rich dependency. */
const VERSIONED = /^([^(].*?)\s+([<=>]{1,2})\s+(\S+)$/s;

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
  const [, name, sign = '', evr = ''] = VERSIONED.exec(bytes) ?? [];
  const sense = SENSES.get(sign);
  if (name === undefined || sense === undefined) {
    return everyVersion(bytes);
  }
  return { name, sense, evr };
}

function everyVersion(name: string): Capability {
  return { name, sense: 0, evr: '' };
}

/** Whether a version of `wanted` is among what the package provides, as rpm decides it. */
export function providesCapability(pkg: RpmPackage, wanted: Capability): boolean {
  const provided = capabilitiesOf(pkg, 'PROVIDE', (name) => name === wanted.name);
  return provided.some((each) => overlaps(each, wanted));
}

/**
 * Whether something that the package requires accepts a version of `wanted`. Every operand of a
 * rich dependency counts, as in `rpm -q --whatrequires`.
 */
export function requiresCapability(pkg: RpmPackage, wanted: Capability): boolean {
  const required = capabilitiesOf(pkg, 'REQUIRE', (name) => name.includes(wanted.name));
  return required.some((each) => {
    const isRich = each.name.startsWith('(');
    const operands = isRich ? richOperands(each.name) : [];
    return [each, ...operands].some((operand) => overlaps(operand, wanted));
  });
}

/** Returns the capabilities whose names pass; versions are read only if there are any. */
function capabilitiesOf(
  { header }: RpmPackage,
  kind: 'PROVIDE' | 'REQUIRE',
  isCandidate: (name: string) => boolean,
): readonly Capability[] {
  const names = header.byteStrings(Tag[`${kind}NAME` as const]) ?? [];
  if (!names.some(isCandidate)) {
    return [];
  }
  const flags = header.numbers(Tag[`${kind}FLAGS` as const]) ?? [];
  const evrs = header.byteStrings(Tag[`${kind}VERSION` as const]) ?? [];
  const all = names.map((name, i) => {
    const sense = flags[i] ?? 0;
    const evr = evrs[i] ?? '';
    return { name, sense, evr };
  });
  return all.filter(({ name }) => isCandidate(name));
}

/** Words between the operands of a rich dependency. */
const RICH_WORDS = new Set('and or if else with without unless'.split(' '));

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
      operands.push(everyVersion(word));
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
  if (acceptsEveryVersion(a) || acceptsEveryVersion(b)) {
    return true;
  }

  const left = parseEvr(a.evr);
  const right = parseEvr(b.evr);
  const byEpoch = compareVersions(left.epoch, right.epoch);
  const order = byEpoch || compareVersions(left.version, right.version);
  if (order === 0) {
    return overlapAtVersion(left, right, a.sense, b.sense);
  }
  return order < 0 ? reach(a.sense, b.sense) : reach(b.sense, a.sense);
}

function acceptsEveryVersion({ sense, evr }: Capability): boolean {
  return (sense & ANY_SENSE) === 0 || evr === '';
}

/** Whether one of two ranges goes on toward the other. @param lower sense of the lower end */
function reach(lower: number, higher: number): boolean {
  const goesUp = (lower & GREATER) !== 0;
  const goesDown = (higher & LESS) !== 0;
  return goesUp || goesDown;
}

/** Decides by the releases. A range without one includes all releases if it includes its end. */
function overlapAtVersion(left: Evr, right: Evr, a: number, b: number): boolean {
  const hasLeft = left.release !== '';
  const hasRight = right.release !== '';
  const isLeftIncluded = hasLeft && !hasRight && (b & EQUAL) !== 0;
  const isRightIncluded = hasRight && !hasLeft && (a & EQUAL) !== 0;
  if (isLeftIncluded || isRightIncluded) {
    return true;
  }
  const hasBoth = hasLeft && hasRight;
  const order = hasBoth ? compareVersions(left.release, right.release) : 0;
  if (order === 0) {
    return (a & b & ANY_SENSE) !== 0;
  }
  return order < 0 ? reach(a, b) : reach(b, a);
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
  const hasRelease = dash !== -1;
  return {
    epoch: epoch || '0',
    version: hasRelease ? rest.slice(0, dash) : rest,
    release: hasRelease ? rest.slice(dash + 1) : '',
  };
}
