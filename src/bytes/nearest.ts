/** Finds the names that somebody who mistyped one may have meant. */

/**
 * Most pairs of characters that are compared: lists come from outside, and the end of one with more
 * or longer names is not searched.
 */
const MAX_PAIRS = 5_000_000;
const MAX_SUGGESTIONS = 3;
/** A name may differ in one of so many characters. */
const CHARACTERS_PER_MISTAKE = 3;

/**
 * Returns `; did you mean A, B or C?` with those of `names` that resemble `wanted`, the nearest
 * first, or an empty text if none does. It is meant for the end of a message.
 */
export function didYouMean(wanted: string, names: Iterable<string>): string {
  const suggestions = nearestNames(wanted, names);
  if (suggestions.length === 0) {
    return '';
  }
  const last = suggestions.at(-1);
  const others = suggestions.slice(0, -1).join(', ');
  const listed = others === '' ? last : `${others} or ${last}`;
  return `; did you mean ${listed}?`;
}

interface Candidate {
  readonly name: string;
  readonly mistakes: number;
}

/**
 * Returns up to three of `names`, the nearest first: those that contain `wanted` or end in it, and
 * those of which at most every third character is changed, missing, added or swapped with its
 * neighbor. A name with more than twice the mistakes of the nearest one is left out.
 */
export function nearestNames(wanted: string, names: Iterable<string>): readonly string[] {
  const found: Candidate[] = [];
  let pairs = 0;
  for (const name of names) {
    pairs += wanted.length * name.length;
    if (pairs > MAX_PAIRS) {
      break;
    }
    const mistakes = mistakesBetween(wanted, name);
    if (mistakes !== undefined) {
      found.push({ name, mistakes });
    }
  }
  found.sort(byMistakes);
  const fewest = found[0]?.mistakes ?? 0;
  const limit = 2 * Math.max(1, fewest);
  const nearest = found.filter(({ mistakes }) => mistakes <= limit);
  const suggested = nearest.slice(0, MAX_SUGGESTIONS);
  return suggested.map(({ name }) => name);
}

function byMistakes(a: Candidate, b: Candidate): number {
  const byName = a.name < b.name ? -1 : 1;
  return a.mistakes - b.mistakes || byName;
}

/** Returns the number of mistakes in `wanted` if `name` was meant; undefined if there are many. */
function mistakesBetween(wanted: string, name: string): number | undefined {
  if (wanted === '') {
    return undefined;
  }
  const longest = Math.max(wanted.length, name.length);
  const allowed = Math.floor(longest / CHARACTERS_PER_MISTAKE);
  if (Math.abs(wanted.length - name.length) <= allowed) {
    const mistakes = editDistance(wanted, name);
    if (mistakes <= allowed) {
      return mistakes;
    }
  }
  const isLong = wanted.length >= CHARACTERS_PER_MISTAKE;
  const isPart = isLong && name.includes(wanted);
  const isEnd = name.endsWith(`/${wanted}`);
  return isPart || isEnd ? name.length - wanted.length : undefined;
}

/**
 * The number of characters to change, remove, add or swap with the next one to make `b` of `a`
 * (optimal string alignment): row by row, the distance of each beginning of `a` to each of `b`.
 */
function editDistance(a: string, b: string): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isEqual = a[i - 1] === b[j - 1];
      const mistake = isEqual ? 0 : 1;
      const changed = at(last, j - 1) + mistake;
      const removed = at(last, j) + 1;
      const added = at(row, j - 1) + 1;
      const swapped = isSwapped(a, i, b, j) ? at(beforeLast, j - 2) + 1 : Infinity;
      const distance = Math.min(changed, removed, added, swapped);
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

/** Whether the first `i` characters of `a` end in two that end the first `j` of `b` swapped. */
function isSwapped(a: string, i: number, b: string, j: number): boolean {
  if (i < 2 || j < 2) {
    return false;
  }
  const isFirstMoved = a[i - 2] === b[j - 1];
  const isSecondMoved = a[i - 1] === b[j - 2];
  return isFirstMoved && isSecondMoved;
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
