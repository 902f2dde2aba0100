/** Which rows of the bench run. */
import type { Subject } from './subjects.js';

/**
 * Returns the subjects with one of `texts` in their name, the first subject of all, and those that
 * they are compared with or use something of, in the order of `all`.
 * @param texts undefined for all subjects
 */
export function chooseSubjects(
  all: readonly Subject[],
  texts: readonly string[] | undefined,
): readonly Subject[] {
  if (texts === undefined) {
    return all;
  }
  const chosen = new Set<string>();
  const add = (name: string | undefined) => {
    const subject = all.find((each) => each.name === name);
    if (subject !== undefined && !chosen.has(subject.name)) {
      chosen.add(subject.name);
      add(subject.reference);
      add(subject.uses);
    }
  };
  add(all[0]?.name);
  for (const { name } of all) {
    if (texts.some((text) => name.includes(text))) {
      add(name);
    }
  }
  return all.filter(({ name }) => chosen.has(name));
}
