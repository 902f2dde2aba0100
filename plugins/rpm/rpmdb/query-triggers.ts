/** Tags that rpm computes for each trigger script: when it runs, for which packages or files. */
import {
  BoundedJoiner,
  comparisonSigns,
  type DependencyTags,
  dependencyTexts,
  SENSE_MASK,
  strings,
  type TagReader,
} from './tag-values.js';

/** The tags of one kind of trigger. */
export interface TriggerTags extends DependencyTags {
  readonly scripts: number;
  /** The place of the script that each dependency belongs to. */
  readonly indexes: number;
}

/** Bits of the flags of a trigger (rpm's RPMSENSE_TRIGGER*), the first one counts. */
const TYPES: readonly (readonly [bit: number, name: string])[] = [
  [1 << 25, 'prein'],
  [1 << 16, 'in'],
  [1 << 17, 'un'],
  [1 << 18, 'postun'],
];

/** Returns what starts a trigger with these flags. */
export function triggerType(flags: number): string {
  return TYPES.find(([bit]) => (flags & bit) !== 0)?.[1] ?? '';
}

function conditionText(name: string, flags: number, version: string): string {
  return flags & SENSE_MASK ? `${name} ${comparisonSigns(flags)} ${version}` : name;
}

/** Returns a reader of what each script waits for, separated by commas. */
export function triggerConditions(tags: TriggerTags): TagReader {
  return ({ header }) => {
    const { length } = header.byteStrings(tags.scripts) ?? [];
    const conditions = Array.from({ length }, (): string[] => []);
    const indexes = header.numbers(tags.indexes);
    for (const [i, condition] of dependencyTexts(header, tags, conditionText).entries()) {
      conditions[indexes?.[i] ?? 0]?.push(condition);
    }
    const joiner = new BoundedJoiner();
    return strings(conditions.map((each) => joiner.join(each, ', ')));
  };
}

/** Returns a reader of the type of each script, which is that of its first condition. */
export function triggerTypes(tags: TriggerTags): TagReader {
  return ({ header }) => {
    const { length } = header.byteStrings(tags.scripts) ?? [];
    const types = Array.from({ length }, () => '');
    const indexes = header.numbers(tags.indexes) ?? [];
    const flags = header.numbers(tags.flags);
    // Backwards, so that the first one remains.
    for (let i = indexes.length - 1; i >= 0; i--) {
      const script = indexes[i] ?? 0;
      if (script < length) {
        types[script] = triggerType(flags?.[i] ?? 0);
      }
    }
    return strings(types);
  };
}
