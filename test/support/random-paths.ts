/** Random patterns of file contexts, and random paths that they match or nearly match. */
import type { Pattern } from '../../src/selinux/pattern.js';
import { pick, type Random } from './random-damage.js';

/** Parts of patterns that are one byte long, or nothing. */
const ATOMS: readonly string[] = [
  ...['a', 'b', '1', '.', '-', '_', '~', '@', '{', '}', ']', '/b'],
  ...['[ab]', '[^a]', '[^/]', '[a-c1]', '[]a]', '[^]a]', '[a-]', '[-a]', '[a-b-]', '[a[:b]'],
  ...['[[:alpha:]]', '[[:^digit:]b]', '[[:punct:]]', '[\\d-]', '[\\w.]', '[\\]a]', '[a\\-c]'],
  ...['\\.', '\\d', '\\D', '\\w', '\\W', '\\s', '\\S', '\\h', '\\-', '\\_', '\\x61', '\\@', '\\$'],
];
const QUANTIFIERS = [
  '*',
  '+',
  '?',
  '{2}',
  '{1,2}',
  '{0,1}',
  '{2,}',
  '{0}',
  '*?',
  '+?',
  '??',
  '{1,',
];
/** What PCRE2 refuses, and what only we do. */
const REFUSED: readonly string[] = [
  ...['(', ')', '[', '\\q', 'a**', 'a{2}{2}', 'a{3,1}', '[z-a]', '[a-\\d]', '[\\d-z]', '(*b)'],
  ...[
    '[[:x:]]',
    '[+-[:alpha:]]',
    '[:alpha:]',
    '[[.a.]]',
    '(?=a)',
    '(?i)',
    '(a)\\1',
    'a*+',
    '\\bb',
    '(?>a)',
  ],
];

/** Returns a pattern, in one of 20 cases with a part that is refused. Alternatives are in groups. */
export function randomPattern(random: Random, depth = 0): string {
  let pattern = '';
  for (let count = 1 + random(4); count > 0; count--) {
    pattern += randomPart(random, depth);
    if (random(4) === 0 && !pattern.endsWith('/b')) {
      pattern += pick(QUANTIFIERS, random);
    }
  }
  return depth === 0 && random(20) === 0 ? pattern + pick(REFUSED, random) : pattern;
}

function randomPart(random: Random, depth: number): string {
  if (depth > 2 || random(4) > 0) {
    return pick(ATOMS, random);
  }
  const options = Array.from({ length: 1 + random(3) }, () => randomPattern(random, depth + 1));
  return `${pick(['(', '(?:'], random)}${options.join('|')}${random(8) === 0 ? '|' : ''})`;
}

/** Returns a text that `pattern` matches, if it has no assertions inside. */
export function matchingText(pattern: Pattern, random: Random): string {
  switch (pattern.type) {
    case 'bytes':
      return byteOf(pattern.set, random);
    case 'sequence':
      return pattern.items.map((item) => matchingText(item, random)).join('');
    case 'choice':
      return matchingText(pick(pattern.options, random), random);
    case 'repeat': {
      const count = Math.min(pattern.max, pattern.min + random(3));
      const texts = Array.from({ length: count }, () => matchingText(pattern.item, random));
      return texts.join('');
    }
    default:
      return '';
  }
}

/** A printable byte of the set, if it has one. */
function byteOf(set: Uint8Array, random: Random): string {
  const bytes = [...set.keys()].filter((byte) => set[byte] === 1 && byte > 0x20 && byte < 0x7f);
  return bytes.length === 0 ? 'x' : String.fromCharCode(pick(bytes, random));
}

/** Returns `text` with one character changed, added or removed. */
export function nearMiss(text: string, random: Random): string {
  const at = 1 + random(text.length);
  const added = pick(['', 'a', '.', '/', 'é', '1'], random);
  return text.slice(0, at) + added + text.slice(at + random(2));
}
