/** The values of tags, as query formats show them. */
import { OstrataError } from '../../../src/errors.js';
import { byteString, type RpmHeader } from './header.js';
import type { RpmPackage } from './package.js';
import { Tag, TagType } from './tags.js';

/**
 * The values of one tag. Strings have one character per byte, so that names that are not UTF-8 are
 * not lost.
 */
export type TagValues = NumberValues | StringValues | BinaryValues;

interface NumberValues {
  readonly kind: 'number';
  readonly values: readonly number[];
}

interface StringValues {
  readonly kind: 'string';
  readonly values: readonly string[];
}

interface BinaryValues {
  readonly kind: 'binary';
  readonly values: readonly Uint8Array[];
}

/** Returns the values of one tag; undefined if the package does not have it. */
export type TagReader = (pkg: RpmPackage) => TagValues | undefined;

export function text(value: string): TagValues {
  const bytes = Buffer.from(value);
  return { kind: 'string', values: [byteString(bytes)] };
}

export function number(value: number): TagValues {
  return { kind: 'number', values: [value] };
}

export function strings(values: readonly string[]): TagValues | undefined {
  const isEmpty = values.length === 0;
  return isEmpty ? undefined : { kind: 'string', values };
}

/** Returns the values as the header stores them; of a translated string only the untranslated. */
export function stored(header: RpmHeader, tag: number): TagValues | undefined {
  const all = storedInAllLanguages(header, tag);
  const isTranslated = header.type(tag) === TagType.I18NSTRING;
  if (!isTranslated || all?.kind !== 'string') {
    return all;
  }
  const untranslated = all.values.slice(0, 1);
  return { kind: 'string', values: untranslated };
}

/** Returns the values as the header stores them, the untranslated string first. */
export function storedInAllLanguages(header: RpmHeader, tag: number): TagValues | undefined {
  switch (header.type(tag)) {
    case undefined:
      return undefined;
    case TagType.STRING:
    case TagType.STRING_ARRAY:
    case TagType.I18NSTRING:
      return { kind: 'string', values: header.byteStrings(tag) ?? [] };
    case TagType.BIN:
      return { kind: 'binary', values: [header.binary(tag) ?? new Uint8Array()] };
    default:
      return { kind: 'number', values: header.numbers(tag) ?? [] };
  }
}

/** Returns `<`, `>`, `=` or a combination, by rpm's RPMSENSE_LESS, _GREATER and _EQUAL. */
export function comparisonSigns(flags: number): string {
  const less = flags & 2 ? '<' : '';
  const greater = flags & 4 ? '>' : '';
  const equal = flags & 8 ? '=' : '';
  return `${less}${greater}${equal}`;
}

/** The kinds of triggers, by what the names of their tags begin with. */
export type TriggerKind = 'TRIGGER' | 'FILETRIGGER' | 'TRANSFILETRIGGER';

/** The kinds of dependencies, by what the names of their tags begin with. */
export type DependencyKind =
  | 'PROVIDE'
  | 'REQUIRE'
  | 'CONFLICT'
  | 'OBSOLETE'
  | 'RECOMMEND'
  | 'SUGGEST'
  | 'SUPPLEMENT'
  | 'ENHANCE'
  | TriggerKind;

/** The bits of dependency flags that compare versions. */
export const SENSE_MASK = 15;

/** Returns the name, and behind it the comparison and the version if there are such. */
function dependencyText(name: string, flags: number, version: string): string {
  const parts = [name];
  if (flags & SENSE_MASK) {
    parts.push(comparisonSigns(flags));
  }
  if (version !== '') {
    parts.push(version);
  }
  return parts.join(' ');
}

/** Returns dependencies as rpm prints them: `name`, or `name >= version`. */
export function dependencyTexts(
  header: RpmHeader,
  kind: DependencyKind,
  textOf = dependencyText,
): readonly string[] {
  const names = header.byteStrings(Tag[`${kind}NAME` as const]) ?? [];
  const flags = header.numbers(Tag[`${kind}FLAGS` as const]) ?? [];
  const versions = header.byteStrings(Tag[`${kind}VERSION` as const]) ?? [];
  return names.map((name, i) => {
    const version = versions[i] ?? '';
    return textOf(name, flags[i] ?? 0, version);
  });
}

/** Characters of the values of one tag; a small header can refer to one long text very often. */
const MAX_CHARACTERS = 1 << 26;

/** Joins texts. Throws `LIMIT` if all the texts that it returns become too long together. */
export class BoundedJoiner {
  #characters = 0;

  join(texts: readonly string[], separator: string): string {
    for (const each of texts) {
      this.#characters += each.length + separator.length;
    }
    if (this.#characters > MAX_CHARACTERS) {
      throw new OstrataError(
        'LIMIT',
        `rpm header: a tag of more than ${MAX_CHARACTERS} characters`,
      );
    }
    return texts.join(separator);
  }
}
