/** Leaves parts of a tree out of an image. */
import { globPattern } from '../bytes/glob.js';
import { OstrataError } from '../errors.js';
import type { TreePath } from './tree.js';

/**
 * Returns a function that says whether an entry is left out. A pattern is an absolute path, which
 * stands for the entry and everything below it; if it ends in a slash, only for what is below it.
 * Each of its names can be a glob. Throws `USAGE` for a path that is not absolute.
 */
export function pruneMatcher(patterns: readonly string[]): (path: TreePath) => boolean {
  const matchers = patterns.map(patternMatcher);
  return (path) => {
    const names = path.split('/');
    return matchers.some((matches) => matches(names));
  };
}

/** Returns a function that takes the names of a path, of which the first is empty. */
function patternMatcher(pattern: string): (names: readonly string[]) => boolean {
  if (!pattern.startsWith('/')) {
    throw new OstrataError('USAGE', `--prune ${pattern}: expected an absolute path`);
  }
  const isContentsOnly = pattern.endsWith('/');
  const globs = pattern.replace(/\/+$/, '').split('/').map(globPattern);
  const minimumCount = globs.length + (isContentsOnly ? 1 : 0);
  return (names) => {
    if (names.length < minimumCount) {
      return false;
    }
    return globs.every((glob, i) => glob.test(names[i] ?? ''));
  };
}
