/** Tags that rpm computes for each trigger script: when it runs, for which packages or files. */
import type { RpmHeader } from './header.js';
import {
  BoundedJoiner,
  comparisonSigns,
  dependencyTexts,
  SENSE_MASK,
  strings,
  type TagReader,
  type TriggerKind,
} from './tag-values.js';
import { Tag } from './tags.js';

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
export function triggerConditions(kind: TriggerKind): TagReader {
  return ({ header }) => {
    const length = countScripts(header, kind);
    const conditions = Array.from({ length }, (): string[] => []);
    const indexes = scriptPlaces(header, kind);
    for (const [i, condition] of dependencyTexts(header, kind, conditionText).entries()) {
      conditions[indexes[i] ?? 0]?.push(condition);
    }
    const joiner = new BoundedJoiner();
    return strings(conditions.map((each) => joiner.join(each, ', ')));
  };
}

/** Returns a reader of the type of each script, which is that of its first condition. */
export function triggerTypes(kind: TriggerKind): TagReader {
  return ({ header }) => {
    const length = countScripts(header, kind);
    const types = Array.from({ length }, () => '');
    const indexes = scriptPlaces(header, kind);
    const flags = header.numbers(Tag[`${kind}FLAGS` as const]);
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

function countScripts(header: RpmHeader, kind: TriggerKind): number {
  const scripts = header.byteStrings(Tag[`${kind}SCRIPTS` as const]) ?? [];
  return scripts.length;
}

/** Returns the place of the script that each condition belongs to. */
function scriptPlaces(header: RpmHeader, kind: TriggerKind): readonly number[] {
  return header.numbers(Tag[`${kind}INDEX` as const]) ?? [];
}
