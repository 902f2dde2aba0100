/** Patterns for names, as shells and rpm have them. */
import { OstrataError } from '../errors.js';

/** An escaped character, a wildcard, a set such as `[a-z]` or `[!0-9]`, or any other character. */
const PART = /\\(.)|([*?])|\[([!^]?)(\]?[^\]]+)\]|(.)/gsu;

/** Whether `text` has a wildcard. */
export function isGlob(text: string): boolean {
  return /[*?[]/.test(text);
}

/** Returns the regular expression of a glob. Throws `USAGE` for a range such as `[z-a]`. */
export function globPattern(glob: string): RegExp {
  const parts = Array.from(glob.matchAll(PART), ([, escaped, wildcard, negation, set, plain]) => {
    if (wildcard !== undefined) {
      return wildcard === '*' ? '.*' : '.';
    }
    return set === undefined
      ? literal(escaped ?? plain ?? '')
      : `[${negation ? '^' : ''}${set.replace(/[\\[\]^]/g, '\\$&')}]`;
  });
  try {
    return new RegExp(`^${parts.join('')}$`, 'su');
  } catch (error) {
    throw new OstrataError('USAGE', `pattern ${glob}: a range must ascend`, { cause: error });
  }
}

function literal(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
}
