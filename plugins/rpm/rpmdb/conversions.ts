/**
 * How a query format shows a value: `%{TAG:conversion}`, as rpm does in the C locale. Spec: rpm's
 * queryformat manual page.
 */
import { OstrataError } from '../../../src/errors.js';
import { fileState } from './file.js';
import { comparisonSigns } from './query-tags.js';

/** @param value a string has one character per byte */
export type Conversion = (value: number | string | Uint8Array) => string;

const NOT_A_NUMBER = '(not a number)';
const numeric =
  (convert: (value: number) => string): Conversion =>
  (value) =>
    typeof value === 'number' ? convert(value) : NOT_A_NUMBER;

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (value: number, fill = '0') => String(value).padStart(2, fill);

/** `%c` of strftime in the C locale, in the local time zone. */
function date(seconds: number): string {
  const at = new Date(seconds * 1000);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${DAYS[at.getDay()]} ${MONTHS[at.getMonth()]} ${two(at.getDate(), ' ')} ${time} ${at.getFullYear()}`;
}
function day(seconds: number): string {
  const at = new Date(seconds * 1000);
  return `${DAYS[at.getDay()]} ${MONTHS[at.getMonth()]} ${two(at.getDate())} ${at.getFullYear()}`;
}

const TYPE_LETTERS: Readonly<Record<number, string>> = {
  1: 'p',
  2: 'c',
  4: 'd',
  6: 'b',
  8: '-',
  10: 'l',
  12: 's',
};

/** As `ls -l` shows a mode. */
function permissions(mode: number): string {
  const bits = (shift: number, special: boolean, letter: string) => {
    const [r, w, x] = [mode & (4 << shift), mode & (2 << shift), mode & (1 << shift)];
    const execute = special ? (x ? letter : letter.toUpperCase()) : x ? 'x' : '-';
    return `${r ? 'r' : '-'}${w ? 'w' : '-'}${execute}`;
  };
  const type = TYPE_LETTERS[(mode >> 12) & 15] ?? '?';
  return `${type}${bits(6, (mode & 0o4000) !== 0, 's')}${bits(3, (mode & 0o2000) !== 0, 's')}${bits(0, (mode & 0o1000) !== 0, 't')}`;
}

/** rpm's letters of file flags, in the order in which it shows them. */
const FILE_FLAGS: readonly (readonly [bit: number, letter: string])[] = [
  [1 << 1, 'd'],
  [1 << 0, 'c'],
  [1 << 5, 's'],
  [1 << 3, 'm'],
  [1 << 4, 'n'],
  [1 << 6, 'g'],
  [1 << 7, 'l'],
  [1 << 8, 'r'],
  [1 << 12, 'a'],
];
const fileFlags = (flags: number) =>
  FILE_FLAGS.map(([bit, letter]) => (flags & bit ? letter : '')).join('');

const UNITS = ['', 'K', 'M', 'G', 'T', 'P'];

function human(base: number): Conversion {
  return numeric((value) => {
    let scaled = Math.fround(value); // as rpm computes
    let unit = 0;
    for (; scaled >= base; unit++) {
      scaled = Math.fround(scaled / base);
    }
    const digits = scaled > 0 && scaled < 9.95 ? 1 : 0;
    return `${fixed(scaled, digits)}${UNITS[unit]}`;
  });
}

/**
 * As printf rounds: what lies exactly between (quarters and halves, no other fraction of two does)
 * goes to the even digit.
 */
function fixed(value: number, digits: number): string {
  const shifted = value * 10 ** digits;
  const isTie = shifted % 1 === 0.5 && Number.isInteger(4 * value);
  return (isTie ? (2 * Math.round(shifted / 2)) / 10 ** digits : value).toFixed(digits);
}

const BASE64_LINE = /.{1,64}/g;
const hex = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');

export const showPlain: Conversion = (value) => {
  if (typeof value === 'string') {
    return value;
  }
  return typeof value === 'number' ? String(value) : hex(value);
};

const CONVERSIONS: Readonly<Record<string, Conversion>> = {
  string: showPlain,
  date: numeric(date),
  day: numeric(day),
  hex: numeric((value) => value.toString(16)),
  octal: numeric((value) => value.toString(8)),
  perms: numeric(permissions),
  permissions: numeric(permissions),
  fflags: numeric(fileFlags),
  fstate: numeric((value) => fileState(value).replace('-', ' ')),
  depflags: numeric(comparisonSigns),
  humansi: human(1000),
  humaniec: human(1024),
  base64: (value) =>
    value instanceof Uint8Array
      ? `${Buffer.from(value).toString('base64').match(BASE64_LINE)?.join('\n') ?? ''}\n`
      : '(not a blob)',
  shescape: (value) => {
    if (typeof value === 'string') {
      return `'${value.replaceAll("'", "'\\''")}'`;
    }
    return typeof value === 'number' ? String(value) : '(invalid type)';
  },
};

/** Throws `USAGE` for a name that is none. */
export function conversionByName(name: string): Conversion {
  const conversion = Object.hasOwn(CONVERSIONS, name) ? CONVERSIONS[name] : undefined;
  if (conversion !== undefined) {
    return conversion;
  }
  const known = [...Object.keys(CONVERSIONS), 'arraysize', 'tagname', 'tagnum'].join(', ');
  throw new OstrataError('USAGE', `unknown conversion :${name}, there are ${known}`);
}
