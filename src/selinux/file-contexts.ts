/**
 * Reads the files of an SELinux policy that say which label a path has: `file_contexts` and path
 * substitutions (selabel_file(5)).
 */
import { isPrintableAscii } from '../bytes/text.js';
import { inContext, OstrataError } from '../errors.js';

/** Bounds the memory for one file, and the time for one path; refpolicies have 7,000 contexts. */
const MAX_CONTEXTS = 1 << 16;
const MAX_SUBSTITUTIONS = 1 << 10;

/** The file types of the second field, as the `S_IFMT` bits of a mode have them. */
const FILE_TYPES: ReadonlyMap<string, number> = new Map([
  ['-p', 0o010000],
  ['-c', 0o020000],
  ['-d', 0o040000],
  ['-b', 0o060000],
  ['--', 0o100000],
  ['-l', 0o120000],
  ['-s', 0o140000],
]);

/** One line of a `file_contexts` file. */
export interface FileContext {
  /** A pattern in the syntax of PCRE2. */
  readonly pattern: string;
  /** The `S_IFMT` bits of the mode of files that it is for; undefined for files of all types. */
  readonly fileType: number | undefined;
  /** A label, or `<<none>>` for files that get none. */
  readonly label: string;
  /** The path of the file in the policy, and the line. */
  readonly origin: string;
}

/** A line of a `file_contexts.subs` file: paths below `from` are labeled as if below `to`. */
export interface Substitution {
  readonly from: string;
  readonly to: string;
}

/**
 * Parses a `file_contexts` file: a pattern, optionally a file type, and a label in each line.
 * Throws `CORRUPT` for a line in which the label is missing, the type is unknown or a character is
 * not ASCII; libselinux refuses the file then, too. What follows the label is ignored, as there.
 * Throws `LIMIT` for a file of more than 65,536 contexts.
 * @param path names the file in errors
 */
export function parseFileContexts(bytes: Uint8Array, path: string): FileContext[] {
  return inContext(path, () => lines(bytes, MAX_CONTEXTS)).map(([fields, line]) => {
    const origin = `${path}: line ${line}`;
    return inContext(origin, () => ({ ...parseFields(fields), origin }));
  });
}

function parseFields([pattern = '', ...others]: readonly string[]): Omit<FileContext, 'origin'> {
  const [second, third] = others;
  const label = third ?? second;
  const type = third === undefined ? undefined : second;
  if (label === undefined) {
    throw new OstrataError('CORRUPT', 'the label is missing');
  }
  if (![pattern, ...others.slice(0, 2)].every(isPrintableAscii)) {
    throw new OstrataError('CORRUPT', 'a character is not printable ASCII');
  }
  const fileType = type === undefined ? undefined : FILE_TYPES.get(type);
  if (type !== undefined && fileType === undefined) {
    const known = [...FILE_TYPES.keys()].join(' ');
    throw new OstrataError('CORRUPT', `the file type ${type} is none of ${known}`);
  }
  return { pattern, fileType, label };
}

/**
 * Parses a `file_contexts.subs` or `file_contexts.subs_dist` file: two paths in each line. Lines
 * with less are ignored, as libselinux does. Throws `LIMIT` for a file of more than 1,024 lines.
 */
export function parseSubstitutions(bytes: Uint8Array): Substitution[] {
  return lines(bytes, MAX_SUBSTITUTIONS).flatMap(([[from, to]]) =>
    from === undefined || to === undefined ? [] : [{ from, to }],
  );
}

/** The fields of each line that is neither empty nor a comment, and its number. */
function lines(bytes: Uint8Array, max: number): [fields: readonly string[], line: number][] {
  const text = Buffer.from(bytes).toString('latin1');
  const found: [readonly string[], number][] = [];
  let number = 0;
  for (const line of text.split('\n')) {
    number++;
    const fields = line.split(/[ \t\v\f\r]+/).filter(Boolean);
    if (fields.length > 0 && !fields[0]?.startsWith('#')) {
      found.push([fields, number]);
    }
    if (found.length > max) {
      throw new OstrataError('LIMIT', `more than ${max} lines that are no comments`);
    }
  }
  return found;
}
